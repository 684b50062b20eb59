"""`taxiway bench lineage`: what questions cost on a store of many runs.

The store is made through ML Metadata's own API, with the nodes, artifacts and edges of the real pipeline and a record
beside every run; the last run's version is live. Each question is a process of its own, as a person asks it.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from components.errors import TaxiwayError
from components.serving.directory import ServingDirectory
from pipeline import output, record
from pipeline.layout import Root
from pipeline.record import NodeRecord, RunRecord

MODEL = "taxi"
ROUNDS = 5
NODES: dict[str, tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "ExampleGen": ("TabularExampleGen", (), (("examples", "Examples"),)),
    "StatisticsGen": ("StatisticsGen", ("examples",), (("statistics", "ExampleStatistics"),)),
    "SchemaGen": ("CuratedSchema", ("statistics",), (("schema", "Schema"),)),
    "ExampleValidator": ("ExampleValidator", ("statistics", "schema"), (("anomalies", "ExampleAnomalies"),)),
    "DataGate": ("DataGate", ("statistics", "anomalies", "schema"), (("verdict", "taxiway.Verdict"),)),
    "Transform": (
        "Transform",
        ("examples", "schema", "verdict"),
        (("transform_graph", "TransformGraph"), ("transformed", "Examples")),
    ),
    "Trainer": ("Trainer", ("transformed", "transform_graph"), (("trained", "Model"), ("model_run", "ModelRun"))),
    "Baseline": ("Baseline", ("statistics", "schema"), (("baseline", "Model"),)),
    "Evaluator": (
        "Evaluator",
        ("examples", "trained", "baseline"),
        (("evaluation", "ModelEvaluation"), ("blessing", "ModelBlessing")),
    ),
    "ModelOptimizer": (
        "ModelOptimizer",
        ("trained", "transform_graph", "examples", "blessing"),
        (("model", "Model"), ("report", "taxiway.OptimizationReport")),
    ),
    "OptimizedEvaluator": (
        "Evaluator",
        ("examples", "model", "trained"),
        (("evaluation_2", "ModelEvaluation"), ("blessing_2", "ModelBlessing")),
    ),
    "ServingValidator": (
        "ServingValidator",
        ("model", "trained", "examples", "report"),
        (("infra", "InfraBlessing"), ("serving", "taxiway.ServingReport")),
    ),
    "Pusher": ("Pusher", ("model", "blessing_2", "infra", "report"), (("pushed", "PushedModel"),)),
}
"""Node to its type, the outputs that it reads, and its outputs with their types."""
QUESTIONS: dict[str, tuple[tuple[str, ...], float]] = {
    "lineage of the live version": (("lineage", "--format", "json"), 2.0),
    "why it is live": (("lineage", "--why"), 2.0),
    "runs": (("runs",), 1.0),
    "what the first data led to": (("lineage", "/rows/span-0.csv", "--downstream", "--format", "json"), 2.0),
}
"""Question to its command and the seconds that it may take."""


def main(*, json: bool = False, runs: int = 1000) -> int:
    """Makes the store, asks, prints.

    Returns:
        Exit code: 1 where a question took too long.
    """
    with tempfile.TemporaryDirectory(prefix="taxiway-bench-") as folder:
        root = Root.at(folder)
        started = time.perf_counter()
        made = make(root, runs)
        made["seconds"] = round(time.perf_counter() - started, 1)
        asked = {name: _ask(root, command) for name, (command, _) in QUESTIONS.items()}
    result = figures(made, asked)
    if json:
        output.print_json(result)
    else:
        output.print_table(rendered(result))
    return 0 if result["met"] else 1


def figures(made: Mapping[str, Any], asked: Mapping[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """The store's size, and the median seconds of each question beside what it may take."""
    questions: dict[str, dict[str, Any]] = {}
    for name, rounds in asked.items():
        wall, processor = (round(statistics.median(side), 3) for side in zip(*rounds, strict=True))
        questions[name] = {"seconds": wall, "cpu_seconds": processor, "allowed": QUESTIONS[name][1], "rounds": rounds}
    met = all(each["seconds"] < each["allowed"] for each in questions.values())
    return {"version": 1, "store": dict(made), "questions": questions, "met": met}


def rendered(result: Mapping[str, Any]) -> Any:
    """The figures as a table."""
    store = result["store"]
    title = f"{store['runs']:,} runs, {store['artifacts']:,} artifacts, {output.size(store['bytes'])}"
    rows = [
        (name, *(f"{each[what]:.2f} s" for what in ("seconds", "cpu_seconds", "allowed")), _met(each))
        for name, each in result["questions"].items()
    ]
    columns = ("question", "median", "processor", "allowed", "met")
    return output.table(title, columns, rows, right=columns[1:4])


def _met(question: Mapping[str, Any]) -> str:
    return "yes" if question["seconds"] < question["allowed"] else "NO"


def _ask(root: Root, command: tuple[str, ...]) -> list[tuple[float, float]]:
    """Seconds from start to end of the process, and those of its processor time; the first round, which warms the
    disk's cache, does not count."""
    seconds = []
    for _ in range(ROUNDS + 1):
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [sys.executable, "-m", "pipeline", *command, "--root", str(root.path)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds.append((round(time.perf_counter() - started, 3), round(used, 3)))
        if done.returncode:
            raise TaxiwayError(f"taxiway {' '.join(command)} failed: {done.stderr.strip()[-500:]}")
    return seconds[1:]


# ---- the store ----


def make(root: Root, runs: int) -> dict[str, Any]:
    """A root with so many runs; the newest one's version is live.

    Returns:
        Counts of runs and artifacts, and the size of the database in bytes.
    """
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(root.metadata)
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    maker = _Maker(metadata_store.MetadataStore(config), root)
    for number in range(runs):
        maker.run(number, last=number == runs - 1)
    artifacts = sum(len(outputs) for _, _, outputs in NODES.values()) * runs
    return {"runs": runs, "artifacts": artifacts, "bytes": root.metadata.stat().st_size}


class _Maker:
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

    def run(self, number: int, *, last: bool) -> None:
        """One run with all its nodes, in one transaction; pushed where it is the last."""
        run_id = f"run-{number:05d}"
        version = self._push(run_id) if last else 1_000 + number
        outputs = {key: (kind, node) for node, (_, _, made) in NODES.items() for key, kind in made}
        places = {key: index for index, key in enumerate(outputs)}
        artifacts = [self._artifact(run_id, number, node, key, kind, version) for key, (kind, node) in outputs.items()]
        executions = [self._execution(number, node, kind) for node, (kind, _, _) in NODES.items()]
        edges = []
        for index, (_, reads, made) in enumerate(NODES.values()):
            edges += [(index, places[key], _event(pb.Event.INPUT, key)) for key in reads]
            edges += [(index, places[key], _event(pb.Event.OUTPUT, key)) for key, _ in made]
        context = pb.Context(type_id=self._context_types["pipeline_run"], name=run_id)
        ids, _, contexts = self._mlmd.put_lineage_subgraph(executions, artifacts, [context], edges)
        pairs = [(execution, contexts[0]) for execution in ids]
        pairs += zip(ids, self._nodes, strict=True)
        members = [pb.Association(execution_id=execution, context_id=context) for execution, context in pairs]
        self._mlmd.put_attributions_and_associations([], members)
        self._summary(run_id, number, ids)

    def _artifact(self, run_id: str, number: int, node: str, key: str, kind: str, version: int) -> pb.Artifact:
        uri = str(self._root.artifacts / node / key / run_id)
        made = pb.Artifact(type_id=self._artifact_types[kind], uri=uri, state=pb.Artifact.LIVE)
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
        _set(made, values.get(key, {}))
        return made

    def _execution(self, number: int, node: str, kind: str) -> pb.Execution:
        made = pb.Execution(type_id=self._types[kind], last_known_state=pb.Execution.COMPLETE)
        if node == "ExampleGen":
            _set(made, {"data": json.dumps({"path": f"/rows/span-{number}.csv"})})
        if node == "Trainer":
            _set(made, {"custom_config": json.dumps({"training": {"epochs": 6, "optimizer": {"name": "adam"}}})})
        return made

    def _push(self, run_id: str) -> int:
        model = self._root.path / "model"
        model.mkdir(parents=True)
        (model / "saved_model.pb").write_bytes(b"a model")
        pushed = ServingDirectory(self._root.serving / MODEL).push(model, {"model": MODEL, "run_id": run_id})
        return int(pushed.version or 0)

    def _summary(self, run_id: str, number: int, executions: list[int]) -> None:
        folder = self._root.run(run_id)
        folder.mkdir(parents=True)
        ids = dict(zip(NODES, executions, strict=True))
        nodes = [NodeRecord(node=node, state="done", seconds=1.0, execution_id=ids[node]) for node in NODES]
        started = time.time()
        ended = {"state": "live", "exit_code": 0, "started": started, "ended": started + 60.0}
        record.write(RunRecord(run_id=run_id, model=MODEL, main_metric="auc", nodes=tuple(nodes), **ended), folder)


def _event(kind: Any, key: str) -> pb.Event:
    made = pb.Event(type=kind)
    made.path.steps.add().key = key
    made.path.steps.add().index = 0
    return made


def _set(target: pb.Artifact | pb.Execution, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, int):
            target.custom_properties[name].int_value = value
        else:
            target.custom_properties[name].string_value = value
