"""What runs in each node's container: TFX's own entry point, given what open-source Kubeflow does not give it.

Five things stand between TFX 1.16's entry point and the open-source backend:

- An input artifact arrives with an empty type (`backend/src/v2/metadata/client.go`: `Schema: "" // TODO`), or, from the
  backend without ML Metadata, with its whole schema as a title; TFX's parser fails on both. The types come from the
  node's own input definitions, which are among its arguments.
- The backend adds an output of its own, `executor-logs` (`backend/src/v2/driver/driver.go`, `provisionOutputs`, where
  `PUBLISH_LOGS` is true, the default), and its file is there before we start. The node is given the outputs that it
  declares, no others.
- A custom artifact type is imported by its title. Ours are titled `taxiway.Name` and live in `components.artifacts`.
- Artifacts live in an object store, and components write files. The launcher has copied the inputs to local folders
  and uploads the outputs from local folders: these are what the executor is given.
- Nothing but the backend's own store would know of the execution: the entry point leaves a record under the root.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.kubeflow import parameters, records
from pipeline.kubeflow.storage import local_path
from pipeline.layout import Root
from pipeline.lineage import carried

DECLARED_OUTPUTS = "--json_serialized_declared_outputs"
"""The argument by which the compiler names the node's own outputs."""

Invocation = dict[str, Any]
RunExecutor = Callable[[argparse.Namespace, list[str]], None]


@dataclass(frozen=True)
class Arguments:
    """The container's arguments.

    Attributes:
        node: The node's id.
        executor: Dotted path of the executor's class.
        invocation: The backend's `ExecutorInput`, JSON values.
        inputs_spec: The node's `ComponentInputsSpec`, JSON values; without the run's parameters.
        declared_outputs: Keys of the artifacts that the node itself writes.
        beam: The rest, for Beam.
    """

    node: str
    executor: str
    invocation: Invocation
    inputs_spec: dict[str, Any]
    declared_outputs: tuple[str, ...]
    beam: list[str]


def parse(argv: Sequence[str]) -> Arguments:
    """Reads the arguments as the compiler wrote them."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--node", required=True)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", default="{}")
    parser.add_argument(DECLARED_OUTPUTS, required=True)
    known, beam = parser.parse_known_args(argv)
    return Arguments(
        known.node,
        known.executor_class_path,
        json.loads(known.json_serialized_invocation_args),
        json.loads(known.json_serialized_inputs_spec_args),
        tuple(json.loads(known.json_serialized_declared_outputs)),
        beam,
    )


def artifacts_of(invocation: Invocation, side: str) -> dict[str, list[dict[str, Any]]]:
    """The artifacts of `inputs` or `outputs`, by key."""
    found = invocation.get(side, {}).get("artifacts", {})
    return {key: value.get("artifacts", []) for key, value in found.items()}


def prepare(arguments: Arguments) -> dict[str, str]:
    """Completes the invocation in place: types, local paths, the run's parameters in the properties; takes out of it
    the outputs that the node does not declare.

    Returns:
        The URIs by the local paths that stand for them.
    """
    _keep_declared_outputs(arguments)
    declared = arguments.inputs_spec.get("artifacts", {})
    for key, artifacts in artifacts_of(arguments.invocation, "inputs").items():
        for artifact in artifacts:
            if key in declared:
                artifact["type"] = declared[key]["artifactType"]
    uris = {}
    for side in ("inputs", "outputs"):
        for artifacts in artifacts_of(arguments.invocation, side).values():
            for artifact in artifacts:
                path = local_path(artifact["uri"], artifact.get("customPath", ""))
                uris[path], artifact["uri"] = artifact["uri"], path
    inputs = arguments.invocation.setdefault("inputs", {})
    inputs["parameterValues"] = parameters.apply(inputs.get("parameterValues", {}))
    return uris


def _keep_declared_outputs(arguments: Arguments) -> None:
    outputs = arguments.invocation.get("outputs", {})
    found = outputs.get("artifacts", {})
    outputs["artifacts"] = {key: value for key, value in found.items() if key in arguments.declared_outputs}


def run(argv: Sequence[str], run_executor: RunExecutor | None = None, now: Callable[[], float] = time.time) -> None:
    """Runs one node and leaves its record.

    Args:
        argv: The container's arguments.
        run_executor: TFX's, which reads the invocation and writes `outputs.outputFile`; for tests another one.
        now: The clock.

    Raises:
        Exception: What the executor raised; the record says so too.
    """
    arguments = parse(argv)
    given = dict(arguments.invocation.get("inputs", {}).get("parameterValues", {}))
    run_id, pipeline = run_of(arguments.invocation, arguments.node)
    uris = prepare(arguments)
    for artifacts in artifacts_of(arguments.invocation, "outputs").values():
        for artifact in artifacts:
            Path(artifact["uri"]).mkdir(parents=True, exist_ok=True)
    if arguments.node == carried.PUSHER and given.get(parameters.ROOT.input):
        carried.prepare(Root.at(given[parameters.ROOT.input]), run_id)  # from the records of the nodes before
    started, error = now(), ""
    try:
        (run_executor or _tfx())(_for_tfx(arguments), arguments.beam)
    except BaseException as problem:
        error = f"{type(problem).__name__}: {problem}"
        raise
    finally:
        outputs = {} if error else _restore(arguments, uris)
        root = given.get(parameters.ROOT.input)
        if root:
            record = records.ExecutionRecord(
                run_id=run_id,
                pipeline=pipeline,
                node=arguments.node,
                executor=arguments.executor,
                state="failed" if error else "complete",
                started=started,
                finished=now(),
                error=error,
                properties=arguments.invocation["inputs"]["parameterValues"],
                parameters=parameters.of_the_run(given),
                inputs=_recorded(artifacts_of(arguments.invocation, "inputs"), uris),
                outputs=outputs,
            )
            records.write(root, record)


def run_of(invocation: Invocation, node: str) -> tuple[str, str]:
    """Run id and pipeline name, which stand before the node in every output's URI: `ROOT/PIPELINE/RUN/NODE/...`.

    The backend tells a container neither in another way (`backend/src/v2/metadata/client.go`, `GetPipeline`).
    """
    for artifacts in artifacts_of(invocation, "outputs").values():
        for artifact in artifacts:
            parts = artifact["uri"].split("/")
            places = [i for i, part in enumerate(parts) if part == node or part.startswith(f"{node}_")]
            if places and places[-1] >= 2:
                return parts[places[-1] - 1], parts[places[-1] - 2]
    return "unknown", ""


def _tfx() -> RunExecutor:
    from tfx.orchestration.kubeflow.v2 import compiler_utils
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
    from tfx.types import artifact

    from components import artifacts

    for own in vars(artifacts).values():
        if isinstance(own, type) and issubclass(own, artifact.Artifact) and own.__module__ == artifacts.__name__:
            title = str(own().type_name)
            compiler_utils.TITLE_TO_CLASS_PATH[title] = f"{own.__module__}.{own.__qualname__}"
    return kubeflow_v2_run_executor._run_executor  # type: ignore[no-any-return]


def _for_tfx(arguments: Arguments) -> argparse.Namespace:
    return argparse.Namespace(
        executor_class_path=arguments.executor,
        json_serialized_invocation_args=json.dumps(arguments.invocation),
        json_serialized_inputs_spec_args=json.dumps(arguments.inputs_spec),
    )


def _restore(arguments: Arguments, uris: dict[str, str]) -> dict[str, tuple[records.ArtifactRecord, ...]]:
    """Gives the written artifacts their URIs back, in the file that the launcher reads.

    Returns:
        The outputs, for the record.
    """
    file = Path(arguments.invocation["outputs"]["outputFile"])
    if not file.exists():
        return {}
    content = json.loads(file.read_text(encoding="utf-8"))
    types = artifacts_of(arguments.invocation, "outputs")
    for key, value in content.get("artifacts", {}).items():
        for artifact in value.get("artifacts", []):
            artifact["uri"] = uris.get(artifact.get("uri", ""), artifact.get("uri", ""))
            for name, text in artifact.get("metadata", {}).items():  # a blessing names the models that it compared
                artifact["metadata"][name] = uris.get(text, text) if isinstance(text, str) else text
            artifact["type"] = types[key][0].get("type", {}) if key in types else {}
    written = _recorded({key: value.get("artifacts", []) for key, value in content.get("artifacts", {}).items()}, uris)
    for value in content.get("artifacts", {}).values():
        for artifact in value.get("artifacts", []):
            artifact.pop("type")  # the backend has it, and TFX writes none
    file.write_text(json.dumps(content), encoding="utf-8")
    return written


def _recorded(
    artifacts: dict[str, list[dict[str, Any]]], uris: dict[str, str]
) -> dict[str, tuple[records.ArtifactRecord, ...]]:
    return {
        key: tuple(
            records.ArtifactRecord(uri=uris.get(a["uri"], a["uri"]), type=_type(a), properties=a.get("metadata", {}))
            for a in found
        )
        for key, found in artifacts.items()
    }


def _type(artifact: dict[str, Any]) -> str:
    """`Examples` of `tfx.Examples`; our own types keep their namespace, as TFX names them."""
    kind = artifact.get("type", {})
    first = (kind.get("instanceSchema", "").splitlines() or [""])[0]
    title = kind.get("schemaTitle") or first.removeprefix("title:").strip()
    return str(title).removeprefix("tfx.")


def main() -> None:
    """The container's command."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # TFT and tfmot choose Keras 2 when imported
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    run(sys.argv[1:])


if __name__ == "__main__":
    main()
