"""What runs in each node's container: TFX's own entry point, given what open-source Kubeflow does not give it.

Six things stand between TFX's entry point (1.16 and 1.21 have the same) and the open-source backend:

- An input artifact arrives with an empty type (`backend/src/v2/metadata/client.go`: `Schema: "" // TODO`), or, from the
  backend without ML Metadata, with its whole schema as a title; TFX's parser fails on both. The types come from the
  node's own input definitions, which are among its arguments.
- The backend adds an output of its own, `executor-logs` (`backend/src/v2/driver/driver.go`, `provisionOutputs`, where
  `PUBLISH_LOGS` is true, the default), and its file is there before we start. The node is given the outputs that it
  declares, no others.
- A custom artifact type is imported by its title. Ours are titled `taxiway.Name` and live in
  `taxiway.components.artifacts`.
- Artifacts live in an object store, and components write files. The launcher has copied the inputs to local folders
  and uploads the outputs from local folders: these are what the executor is given.
- A long value of the configuration is no parameter: it is unpacked from the container's arguments.
- Nothing but the backend's own store would know of the execution: the entry point leaves a record under the root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.beam.options import uses_engine
from taxiway.components.beam.stock_reading import spread_stock_reads
from taxiway.components.errors import DataError, TaxiwayError
from taxiway.environment import set_environment
from taxiway.pipeline import tfx_private
from taxiway.pipeline.kubeflow import packed_properties, parameters, pod_folders
from taxiway.pipeline.kubeflow.artifact_types import read_title
from taxiway.pipeline.kubeflow.page import finish, writing
from taxiway.pipeline.kubeflow.page.outputs import PageFacts
from taxiway.pipeline.kubeflow.shared_artifacts import share_artifacts
from taxiway.pipeline.kubeflow.storage import get_local_path
from taxiway.pipeline.lineage import lineage_file_writer
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.store import execution_record

DECLARED_OUTPUTS = "--json_serialized_declared_outputs"
"""The argument by which the compiler names the node's own outputs."""
PAGE_FACTS = "--json_serialized_page_facts"
"""The argument by which the compiler says what `PageFacts` holds."""

Invocation = dict[str, Any]
RunExecutor = Callable[[argparse.Namespace, list[str]], None]


@dataclass(frozen=True)
class NodeArguments:
    """The container's arguments.

    Attributes:
        node: Id of the node.
        executor: Dotted path of the executor's class.
        invocation: `ExecutorInput` of the backend, as JSON values.
        inputs_spec: `ComponentInputsSpec` of the node, as JSON values, without the run's parameters.
        declared_outputs: Keys of the artifacts that the node itself writes.
        packed: Long values of the parameters, by name.
        facts: What Kubeflow's page needs to know of the pipeline.
        beam: Remaining arguments, for Beam.
    """

    node: str
    executor: str
    invocation: Invocation
    inputs_spec: dict[str, Any]
    declared_outputs: tuple[str, ...]
    packed: dict[str, str]
    facts: PageFacts
    beam: list[str]


def parse_arguments(argv: Sequence[str]) -> NodeArguments:
    """Reads the arguments as the compiler wrote them."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--node", required=True)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args", default="{}")
    parser.add_argument(DECLARED_OUTPUTS, required=True)
    parser.add_argument(packed_properties.PACKED, action="append", default=[])
    parser.add_argument(PAGE_FACTS, default="{}")
    options, beam = parser.parse_known_args(argv)
    return NodeArguments(
        options.node,
        options.executor_class_path,
        _read_invocation(options.json_serialized_invocation_args),
        json.loads(options.json_serialized_inputs_spec_args),
        tuple(json.loads(options.json_serialized_declared_outputs)),
        packed_properties.read_arguments(options.packed_properties),
        PageFacts(**json.loads(options.json_serialized_page_facts)),
        beam,
    )


def _read_invocation(text: str) -> Invocation:
    """The executor input. A parameter that is null was not given: the driver sets optional ones so."""
    invocation: Invocation = json.loads(text)
    inputs = invocation.setdefault("inputs", {})
    given = inputs.get("parameterValues", {})
    inputs["parameterValues"] = {name: value for name, value in given.items() if value is not None}
    return invocation


def list_invocation_artifacts(invocation: Invocation, side: str) -> dict[str, list[dict[str, Any]]]:
    """The artifacts of `inputs` or `outputs`, by key."""
    artifacts = invocation.get(side, {}).get("artifacts", {})
    return {key: value.get("artifacts", []) for key, value in artifacts.items()}


def prepare_invocation(arguments: NodeArguments) -> dict[str, str]:
    """Changes the invocation in place: adds types, replaces URIs by local paths, unpacks long properties, sets the
    run's parameters in them, and removes outputs that the node does not declare.

    Returns:
        URIs by the local paths that replace them.
    """
    _keep_declared_outputs(arguments)
    declared = arguments.inputs_spec.get("artifacts", {})
    for key, artifacts in list_invocation_artifacts(arguments.invocation, "inputs").items():
        for artifact in artifacts:
            if key in declared:
                artifact["type"] = declared[key]["artifactType"]
            # Without ML Metadata the name is the producer's key: two models of one node would be one to TFX.
            artifact["name"] = artifact.pop("artifactId", artifact.get("name", ""))
    uris = {}
    for side in ("inputs", "outputs"):
        for artifacts in list_invocation_artifacts(arguments.invocation, side).values():
            for artifact in artifacts:
                path = get_local_path(artifact["uri"], artifact.get("customPath", ""))
                uris[path], artifact["uri"] = artifact["uri"], path
    inputs = arguments.invocation.setdefault("inputs", {})
    given = packed_properties.restore_values(inputs.get("parameterValues", {}), arguments.packed)
    inputs["parameterValues"] = parameters.apply_parameters(given)
    return uris


def _keep_declared_outputs(arguments: NodeArguments) -> None:
    outputs = arguments.invocation.get("outputs", {})
    artifacts = outputs.get("artifacts", {})
    outputs["artifacts"] = {key: value for key, value in artifacts.items() if key in arguments.declared_outputs}


def run_node(
    argv: Sequence[str], run_executor: RunExecutor | None = None, now: Callable[[], float] = time.time
) -> None:
    """Runs one node and leaves its record.

    Args:
        argv: Arguments of the container.
        run_executor: Function that reads the invocation and writes `outputs.outputFile`; TFX's own where none is given.
        now: Function that returns the time, in seconds since 1970.

    Raises:
        Exception: The executor's error; the record holds it too.
    """
    arguments = parse_arguments(argv)
    given = dict(arguments.invocation.get("inputs", {}).get("parameterValues", {}))
    pod_folders.prepare_pod(given.get(parameters.ROOT.input))
    run_id, pipeline = find_run_and_pipeline(arguments.invocation, arguments.node)
    page = writing.find_page_outputs(arguments.invocation, arguments.declared_outputs)
    uris = prepare_invocation(arguments)
    for artifacts in list_invocation_artifacts(arguments.invocation, "outputs").values():
        for artifact in artifacts:
            Path(artifact["uri"]).mkdir(parents=True, exist_ok=True)
    if arguments.node == lineage_file_writer.PUSHER and given.get(parameters.ROOT.input):
        # From the records of the nodes before.
        lineage_file_writer.prepare_lineage(Root.at(given[parameters.ROOT.input]), run_id)
    started, error = now(), ""
    try:
        with _share_with_workers(arguments, given.get(parameters.ROOT.input)):
            (run_executor or _load_tfx_executor())(_make_tfx_arguments(arguments), arguments.beam)
        _check_digest(arguments, given)
    except BaseException as problem:
        error = f"{type(problem).__name__}: {problem}"
        raise
    finally:
        outputs = {} if error else _restore_uris(arguments, uris)
        root = given.get(parameters.ROOT.input)
        record = execution_record.ExecutionRecord(
            run_id=run_id,
            pipeline=pipeline,
            node=arguments.node,
            executor=arguments.executor,
            state="failed" if error else "complete",
            started=started,
            finished=now(),
            error=error,
            properties=arguments.invocation["inputs"]["parameterValues"],
            parameters=parameters.select_run_parameters(given),
            inputs=_make_artifact_records(list_invocation_artifacts(arguments.invocation, "inputs"), uris),
            outputs=outputs,
        )
        if root:
            execution_record.write_record(root, record)
    paths = {uri: path for path, uri in uris.items()}
    output_file = Path(arguments.invocation["outputs"]["outputFile"])
    finish.finish_node(record, Path(root) if root else None, paths, page, output_file, arguments.facts)


def _share_with_workers(arguments: NodeArguments, root: str | None) -> contextlib.AbstractContextManager[None]:
    """Nothing where Beam works in this pod."""
    if not uses_engine(arguments.beam):
        return contextlib.nullcontext()
    spread_stock_reads()
    inputs, outputs = (
        [artifact for listed in list_invocation_artifacts(arguments.invocation, side).values() for artifact in listed]
        for side in ("inputs", "outputs")
    )
    return share_artifacts(inputs, outputs, Path(arguments.invocation["outputs"]["outputFile"]), root)


def _check_digest(arguments: NodeArguments, given: dict[str, Any]) -> None:
    """Refuses examples of other data than the step before saw: the backend would cache them under its digest.

    Raises:
        DataError: The data was changed in between.
    """
    expected = given.get(parameters.DATA_FINGERPRINT.input)
    file = Path(arguments.invocation["outputs"]["outputFile"])
    written = json.loads(file.read_text(encoding="utf-8")).get("artifacts", {}) if file.exists() else {}
    for artifact in (each for value in written.values() for each in value.get("artifacts", [])):
        properties = execution_record.name_properties(artifact.get("metadata", {}))
        digest = properties.get("input_fingerprint", expected)
        if expected and digest != expected:
            raise DataError(
                f"The data changed while the run read it: its digest was {expected}, and is {digest}.",
                "Start a run when nothing writes there. A file is best written under another name, then renamed.",
            )


def find_run_and_pipeline(invocation: Invocation, node: str) -> tuple[str, str]:
    """Run id and pipeline name, which stand before the node in every output's URI: `ROOT/PIPELINE/RUN/NODE/...`.

    The backend tells a container neither in another way (`backend/src/v2/metadata/client.go`, `GetPipeline`).
    """
    for artifacts in list_invocation_artifacts(invocation, "outputs").values():
        for artifact in artifacts:
            parts = artifact["uri"].split("/")
            places = [i for i, part in enumerate(parts) if part == node or part.startswith(f"{node}_")]
            if places and places[-1] >= 2:
                return parts[places[-1] - 1], parts[places[-1] - 2]
    return "unknown", ""


def _load_tfx_executor() -> RunExecutor:
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
    from tfx.types import artifact

    from taxiway.components import artifacts

    for own in vars(artifacts).values():
        if isinstance(own, type) and issubclass(own, artifact.Artifact) and own.__module__ == artifacts.__name__:
            tfx_private.register_artifact_class(str(own().type_name), f"{own.__module__}.{own.__qualname__}")
    return lambda arguments, beam: kubeflow_v2_run_executor.main((arguments, beam))


def _make_tfx_arguments(arguments: NodeArguments) -> argparse.Namespace:
    return argparse.Namespace(
        executor_class_path=arguments.executor,
        json_serialized_invocation_args=json.dumps(arguments.invocation),
        json_serialized_inputs_spec_args=json.dumps(arguments.inputs_spec),
    )


def _restore_uris(
    arguments: NodeArguments, uris: dict[str, str]
) -> dict[str, tuple[execution_record.ArtifactRecord, ...]]:
    """Gives the written artifacts their URIs back, in the file that the launcher reads.

    Returns:
        The outputs, for the record.
    """
    file = Path(arguments.invocation["outputs"]["outputFile"])
    if not file.exists():
        return {}
    content = json.loads(file.read_text(encoding="utf-8"))
    types = list_invocation_artifacts(arguments.invocation, "outputs")
    for key, value in content.get("artifacts", {}).items():
        for artifact in value.get("artifacts", []):
            artifact["uri"] = uris.get(artifact.get("uri", ""), artifact.get("uri", ""))
            for name, text in artifact.get("metadata", {}).items():  # a blessing names the models that it compared
                artifact["metadata"][name] = uris.get(text, text) if isinstance(text, str) else text
            artifact["type"] = types[key][0].get("type", {}) if key in types else {}
    written = _make_artifact_records(
        {key: value.get("artifacts", []) for key, value in content.get("artifacts", {}).items()}, uris
    )
    for value in content.get("artifacts", {}).values():
        for artifact in value.get("artifacts", []):
            artifact.pop("type")  # the backend has it, and TFX writes none
    file.write_text(json.dumps(content), encoding="utf-8")
    return written


def _make_artifact_records(
    artifacts: dict[str, list[dict[str, Any]]], uris: dict[str, str]
) -> dict[str, tuple[execution_record.ArtifactRecord, ...]]:
    return {
        key: tuple(
            execution_record.ArtifactRecord(
                uri=uris.get(a["uri"], a["uri"]), type=_find_type(a), properties=a.get("metadata", {})
            )
            for a in listed
        )
        for key, listed in artifacts.items()
    }


def _find_type(artifact: dict[str, Any]) -> str:
    """`Examples` of `tfx.Examples`; our own types keep their namespace, as TFX names them."""
    return read_title(artifact.get("type", {})).removeprefix("tfx.")


def main() -> None:
    """The container's command."""
    set_environment()
    try:
        run_node(sys.argv[1:])
    except TaxiwayError as error:  # a person's mistake, not ours: the pod's log ends with what to do
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
