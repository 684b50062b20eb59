"""`taxiway bench lineage`: how long commands take on a store of many runs.

The store is made through ML Metadata's own API, with the nodes, artifacts and edges of the real pipeline and a record
beside every run; the last run's version is live. Each command runs in a process of its own, as a user starts it.
"""

from __future__ import annotations

import json
import resource
import statistics
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.components.errors import TaxiwayError
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.bench.command import run_taxiway
from taxiway.pipeline.bench.figures import format_met
from taxiway.pipeline.console import printing
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking import run_record
from taxiway.pipeline.tracking.run_record import NodeRecord, RunRecord

MODEL = "taxi"
ROUNDS = 5
NODES: dict[str, tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "ExampleGen": ("TabularExampleGen", (), (("examples", "Examples"),)),
    "StatisticsGen": ("StatisticsGen", ("examples",), (("statistics", "ExampleStatistics"),)),
    "SchemaGen": ("CuratedSchema", ("statistics", "examples"), (("schema", "Schema"),)),
    "ExampleValidator": ("ExampleValidator", ("statistics", "schema"), (("anomalies", "ExampleAnomalies"),)),
    "DataGate": ("DataGate", ("statistics", "anomalies", "examples", "schema"), (("verdict", "taxiway.Verdict"),)),
    "Transform": (
        "Transform",
        ("examples", "schema", "verdict"),
        (("transform_graph", "TransformGraph"), ("transformed", "Examples")),
    ),
    "Baseline": ("Baseline", ("statistics", "schema", "verdict"), (("baseline", "Model"),)),
    "Trainer": (
        "Trainer",
        ("transformed", "transform_graph", "schema", "verdict"),
        (("trained", "Model"), ("model_run", "ModelRun")),
    ),
    "Evaluator": (
        "Evaluator",
        ("examples", "trained", "baseline", "verdict"),
        (("evaluation", "ModelEvaluation"), ("blessing", "ModelBlessing")),
    ),
    "ModelOptimizer": (
        "ModelOptimizer",
        ("trained", "transform_graph", "transformed", "examples", "schema", "blessing"),
        (("model", "Model"), ("report", "taxiway.OptimizationReport")),
    ),
    "OptimizedEvaluator": (
        "Evaluator",
        ("examples", "model", "trained"),
        (("evaluation_2", "ModelEvaluation"), ("blessing_2", "ModelBlessing")),
    ),
    "ServingValidator": (
        "ServingValidator",
        ("model", "trained", "baseline", "examples", "schema", "report", "statistics"),
        (("infra", "InfraBlessing"), ("serving", "taxiway.ServingReport")),
    ),
    "Pusher": (
        "Pusher",
        ("model", "blessing_2", "infra", "report", "evaluation_2", "examples"),
        (("pushed", "PushedModel"),),
    ),
    "ModelExplainer": ("ModelExplainer", ("model", "examples"), (("explanation", "taxiway.ModelExplanation"),)),
}
"""Type of each node, the outputs that it reads, and its outputs with their types, as the taxi pipeline has them."""
QUESTIONS: dict[str, tuple[tuple[str, ...], float]] = {
    "lineage of the live version": (("lineage", "--format", "json"), 2.0),
    "why it is live": (("lineage", "--why"), 2.0),
    "runs": (("runs",), 1.0),
    "what the first data led to": (("lineage", "/rows/span-0.csv", "--downstream", "--format", "json"), 2.0),
}
"""Command of each question, and the seconds that it may take."""


def main(*, json: bool = False, runs: int = 1000) -> int:
    """Makes the store, times the commands, and prints the figures.

    Returns:
        Exit code: 1 where a question took too long.
    """
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        root = Root.at(folder)
        started = time.perf_counter()
        store = make_store(root, runs)
        store["seconds"] = round(time.perf_counter() - started, 1)
        timings = {name: _time_question(root, command) for name, (command, _) in QUESTIONS.items()}
    result = compute_figures(store, timings)
    if json:
        printing.print_json(result)
    else:
        printing.print_renderable(render_figures(result))
    return 0 if result["met"] else 1


def compute_figures(store: Mapping[str, Any], timings: Mapping[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """The store's size, and the median seconds of each question beside what it may take."""
    questions: dict[str, dict[str, Any]] = {}
    for name, rounds in timings.items():
        wall, processor = (round(statistics.median(side), 3) for side in zip(*rounds, strict=True))
        questions[name] = {"seconds": wall, "cpu_seconds": processor, "allowed": QUESTIONS[name][1], "rounds": rounds}
    met = all(map(_is_met, questions.values()))
    return {"version": 1, "store": dict(store), "questions": questions, "met": met}


def _is_met(question: Mapping[str, Any]) -> bool:
    return bool(question["seconds"] < question["allowed"])


def render_figures(result: Mapping[str, Any]) -> Any:
    """The figures as a table."""
    store = result["store"]
    title = f"{store['runs']:,} runs, {store['artifacts']:,} artifacts, {printing.format_bytes(store['bytes'])}"
    rows = [
        (name, *(f"{each[what]:.2f} s" for what in ("seconds", "cpu_seconds", "allowed")), format_met(_is_met(each)))
        for name, each in result["questions"].items()
    ]
    columns = ("question", "median", "processor", "allowed", "met")
    return printing.make_table(title, columns, rows, right=columns[1:4])


def _time_question(root: Root, command: tuple[str, ...]) -> list[tuple[float, float]]:
    """Wall and processor seconds of the process by round, without the first round, which warms the disk's cache."""
    seconds = []
    for _ in range(ROUNDS + 1):
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        process = run_taxiway([*command, "--root", str(root.path)], 120)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds.append((round(time.perf_counter() - started, 3), round(used, 3)))
        if process.returncode:
            raise TaxiwayError(f"taxiway {' '.join(command)} failed: {process.stderr.strip()[-500:]}")
    return seconds[1:]


# ---- the store ----


def make_store(root: Root, runs: int) -> dict[str, Any]:
    """Makes a root of so many runs; the version of the newest run is live.

    Returns:
        Counts of runs and artifacts, and the size of the database in bytes.
    """
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(root.metadata)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    maker = _StoreBuilder(metadata_store.MetadataStore(config), root)
    for number in range(runs):
        maker.add_run(number, last=number == runs - 1)
    artifacts = sum(len(outputs) for _, _, outputs in NODES.values()) * runs
    return {"runs": runs, "artifacts": artifacts, "bytes": root.metadata.stat().st_size}


class _StoreBuilder:
    def __init__(self, mlmd: metadata_store.MetadataStore, root: Root) -> None:
        self._mlmd, self._root = mlmd, root
        kinds = {kind for _, _, outputs in NODES.values() for _, kind in outputs}
        self._artifact_types = {name: mlmd.put_artifact_type(pb.ArtifactType(name=name)) for name in sorted(kinds)}
        types = sorted({kind for kind, _, _ in NODES.values()})
        self._types = {name: mlmd.put_execution_type(pb.ExecutionType(name=name)) for name in types}
        contexts = ("pipeline_run", "node")
        self._context_types = {name: mlmd.put_context_type(pb.ContextType(name=name)) for name in contexts}
        names = [pb.Context(type_id=self._context_types["node"], name=f"{MODEL}.{node}") for node in NODES]
        self._nodes = mlmd.put_contexts(names)

    def add_run(self, number: int, *, last: bool) -> None:
        """One run with all its nodes, in one transaction; pushed where it is the last."""
        run_id = f"run-{number:05d}"
        version = self._push_version(run_id) if last else 1_000 + number
        outputs = {key: (kind, node) for node, (_, _, written) in NODES.items() for key, kind in written}
        places = {key: index for index, key in enumerate(outputs)}
        artifacts = [
            self._make_artifact(run_id, number, node, key, kind, version) for key, (kind, node) in outputs.items()
        ]
        executions = [self._make_execution(number, node, kind) for node, (kind, _, _) in NODES.items()]
        edges = []
        for index, (_, reads, written) in enumerate(NODES.values()):
            edges += [(index, places[key], _make_event(pb.Event.INPUT, key)) for key in reads]
            edges += [(index, places[key], _make_event(pb.Event.OUTPUT, key)) for key, _ in written]
        context = pb.Context(type_id=self._context_types["pipeline_run"], name=run_id)
        ids, _, contexts = self._mlmd.put_lineage_subgraph(executions, artifacts, [context], edges)
        pairs = [(execution, contexts[0]) for execution in ids]
        pairs += zip(ids, self._nodes, strict=True)
        members = [pb.Association(execution_id=execution, context_id=context) for execution, context in pairs]
        self._mlmd.put_attributions_and_associations([], members)
        self._write_record(run_id, number, ids)

    def _make_artifact(self, run_id: str, number: int, node: str, key: str, kind: str, version: int) -> pb.Artifact:
        uri = str(self._root.artifacts / node / key / run_id)
        artifact = pb.Artifact(type_id=self._artifact_types[kind], uri=uri, state=pb.Artifact.LIVE)
        values: dict[str, Any] = {
            "examples": {
                "span": number,
                "input_fingerprint": f"{number:032x}",
                "rows_train": 10_000,
                "rows_eval": 5_000,
            },
            "verdict": {"passed": 1},
            "baseline": {"kind": "naive", "version": 0},
            "blessing": {"blessed": 1},
            "trained": {"strategy": "one_device", "steps": 474, "restarts": 0},
            "pushed": {
                "pushed": 1,
                "pushed_version": str(version),
                "pushed_destination": str(self._root.serving / MODEL / str(version)),
            },
        }
        _set_properties(artifact, values.get(key, {}))
        return artifact

    def _make_execution(self, number: int, node: str, kind: str) -> pb.Execution:
        execution = pb.Execution(type_id=self._types[kind], last_known_state=pb.Execution.COMPLETE)
        if node == "ExampleGen":
            _set_properties(execution, {"data": json.dumps({"path": f"/rows/span-{number}.csv"})})
        if node == "Trainer":
            _set_properties(
                execution, {"custom_config": json.dumps({"training": {"epochs": 6, "optimizer": {"name": "adam"}}})}
            )
        return execution

    def _push_version(self, run_id: str) -> int:
        model = self._root.path / "model"
        model.mkdir(parents=True)
        (model / "saved_model.pb").write_bytes(b"a model")
        pushed = ServingDirectory(self._root.serving / MODEL).push(model, {"model": MODEL, "run_id": run_id})
        return int(pushed.version or 0)

    def _write_record(self, run_id: str, number: int, executions: list[int]) -> None:
        folder = self._root.run_folder(run_id)
        folder.mkdir(parents=True)
        ids = dict(zip(NODES, executions, strict=True))
        nodes = [NodeRecord(node=node, state="done", seconds=1.0, execution_id=ids[node]) for node in NODES]
        started = time.time()
        ended = {"state": "live", "exit_code": 0, "started": started, "ended": started + 60.0}
        run_record.write_summary(
            RunRecord(run_id=run_id, model=MODEL, main_metric="auc", nodes=tuple(nodes), **ended), folder
        )


def _make_event(kind: Any, key: str) -> pb.Event:
    event = pb.Event(type=kind)
    event.path.steps.add().key = key
    event.path.steps.add().index = 0
    return event


def _set_properties(target: pb.Artifact | pb.Execution, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, int):
            target.custom_properties[name].int_value = value
        else:
            target.custom_properties[name].string_value = value
