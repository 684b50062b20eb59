"""Adds the task `DataDigest` to a compiled pipeline, and connects ExampleGen to it.

The backend's cache key of ExampleGen holds its parameters, not its files. The task, which is never cached, reads the
data when the run starts and gives ExampleGen two parameters: the digest of the content, and the spans that it saw.
"""

from __future__ import annotations

import copy
from typing import Any

from taxiway.pipeline.kubeflow import parameters
from taxiway.pipeline.kubeflow.parameters import RunParameter

NODE, READER = "DataDigest", "ExampleGen"
COMMAND = ("python", "-m", "taxiway.pipeline.kubeflow.data_digest.program")
INPUT_OPTION = "--executor_input"
DIGEST, SPANS = "digest", "spans"
"""Parameters that the task writes."""
OUTPUTS = {parameters.DATA_FINGERPRINT: DIGEST, parameters.SPAN: SPANS}
"""What ExampleGen takes from the task, not from the run."""
_TEXT = {"parameterType": "STRING"}


def add_task(spec: dict[str, Any], run_id: str) -> bool:
    """Adds the task, its component and its container, before the run's parameters are wired.

    Args:
        spec: Specification of the pipeline, as JSON values, which is changed.
        run_id: Constant that the backend replaces by the run's id.

    Returns:
        Whether the pipeline has an ExampleGen that reads a section `data`.
    """
    reader = spec["root"]["dag"]["tasks"].get(READER, {})
    data = reader.get("inputs", {}).get("parameters", {}).get("data")
    if data is None:
        return False
    constants = {"run_id": run_id, "pipeline": spec["pipelineInfo"]["name"]}
    inputs = {name: {"runtimeValue": {"constant": value}} for name, value in constants.items()}
    spec["root"]["dag"]["tasks"][NODE] = {
        "taskInfo": {"name": NODE},
        "componentRef": {"name": NODE},
        "inputs": {"parameters": {"data": copy.deepcopy(data), **inputs}},
    }
    spec["components"][NODE] = {
        "executorLabel": f"{NODE}_executor",
        "inputDefinitions": {"parameters": {name: dict(_TEXT) for name in ("data", *constants)}},
        "outputDefinitions": {"parameters": {name: dict(_TEXT) for name in (DIGEST, SPANS)}},
    }
    spec["deploymentSpec"]["executors"][f"{NODE}_executor"] = {"container": _make_container(spec)}
    return True


def _make_container(spec: dict[str, Any]) -> dict[str, Any]:
    reader = spec["components"][spec["root"]["dag"]["tasks"][READER]["componentRef"]["name"]]
    image = spec["deploymentSpec"]["executors"][reader["executorLabel"]]["container"]["image"]
    return {"image": image, "command": list(COMMAND), "args": [INPUT_OPTION, "{{$}}"]}


def connect_reader(spec: dict[str, Any]) -> None:
    """Makes ExampleGen take the digest and the spans from the task."""
    task = spec["root"]["dag"]["tasks"][READER]
    component = spec["components"][task["componentRef"]["name"]]
    for parameter, output in OUTPUTS.items():
        _connect(task, component, parameter, output)
    task["dependentTasks"] = sorted({*task.get("dependentTasks", ()), NODE})


def _connect(task: dict[str, Any], component: dict[str, Any], parameter: RunParameter, output: str) -> None:
    source = {"producerTask": NODE, "outputParameterKey": output}
    task["inputs"]["parameters"][parameter.input] = {"taskOutputParameter": source}
    component["inputDefinitions"]["parameters"][parameter.input] = dict(_TEXT)
