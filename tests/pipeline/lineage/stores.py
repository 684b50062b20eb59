"""Stores as runs of the real pipeline leave them, made through ML Metadata's own API; versions made by real pushes.

No TFX: contexts, executions, artifacts and events have the types and names that `pipeline/dag.py` gives them.
"""

import contextlib
import json
import os
import tempfile
from pathlib import Path

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.components.serving.versions.directory import ServingDirectory

DAG = {
    "ExampleGen": ("taxiway.components.example_gen.component.TabularExampleGen", [], [("examples", "Examples")]),
    "StatisticsGen": ("tfx.StatisticsGen", ["ExampleGen.examples"], [("statistics", "ExampleStatistics")]),
    "SchemaGen": (
        "taxiway.components.schema.component.CuratedSchema",
        ["StatisticsGen.statistics"],
        [("schema", "Schema")],
    ),
    "ExampleValidator": (
        "tfx.ExampleValidator",
        ["StatisticsGen.statistics", "SchemaGen.schema"],
        [("anomalies", "ExampleAnomalies")],
    ),
    "DataGate": (
        "taxiway.components.gates.component.DataGate",
        ["StatisticsGen.statistics", "ExampleValidator.anomalies", "SchemaGen.schema"],
        [("verdict", "taxiway.Verdict")],
    ),
    "Transform": (
        "taxiway.components.transform.component.Transform",
        ["ExampleGen.examples", "SchemaGen.schema"],
        [("transform_graph", "TransformGraph"), ("transformed_examples", "Examples")],
    ),
    "Trainer": (
        "taxiway.components.trainer.component.Trainer",
        ["Transform.transformed_examples", "Transform.transform_graph", "SchemaGen.schema"],
        [("model", "Model"), ("model_run", "ModelRun")],
    ),
    "Baseline": (
        "taxiway.components.baseline.component.Baseline",
        ["StatisticsGen.statistics", "SchemaGen.schema"],
        [("model", "Model")],
    ),
    "Evaluator": (
        "tfx.Evaluator",
        ["ExampleGen.examples", "Trainer.model", "Baseline.model"],
        [("evaluation", "ModelEvaluation"), ("blessing", "ModelBlessing")],
    ),
    "ModelOptimizer": (
        "taxiway.components.optimizer.component.ModelOptimizer",
        ["Trainer.model", "Transform.transform_graph", "ExampleGen.examples", "SchemaGen.schema", "Evaluator.blessing"],
        [("model", "Model"), ("report", "taxiway.OptimizationReport")],
    ),
    "OptimizedEvaluator": (
        "tfx.Evaluator",
        ["ExampleGen.examples", "ModelOptimizer.model", "Trainer.model"],
        [("evaluation", "ModelEvaluation"), ("blessing", "ModelBlessing")],
    ),
    "ServingValidator": (
        "taxiway.components.serving.component.ServingValidator",
        ["ModelOptimizer.model", "Trainer.model", "ExampleGen.examples", "ModelOptimizer.report"],
        [("blessing", "InfraBlessing"), ("report", "taxiway.ServingReport")],
    ),
    "Pusher": (
        "taxiway.components.serving.component.Pusher",
        ["ModelOptimizer.model", "OptimizedEvaluator.blessing", "ServingValidator.blessing", "ModelOptimizer.report"],
        [("pushed_model", "PushedModel")],
    ),
    "ModelExplainer": (
        "taxiway.components.explanation.component.ModelExplainer",
        ["ModelOptimizer.model", "ExampleGen.examples"],
        [("explanation", "taxiway.ModelExplanation")],
    ),
}
BEFORE_THE_PUSH = tuple(node for node in DAG if node not in ("Pusher", "ModelExplainer"))
"""The nodes that a version comes from, but for the push itself; ModelExplainer works behind it."""
FIRST_NODES = ("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate")


@contextlib.contextmanager
def memory_folder():
    """A folder in memory where there is one: ML Metadata syncs the disk after every call, which is not tested here."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


class Root:
    """A root that grows run by run."""

    def __init__(self, path: Path, model: str = "taxi") -> None:
        self.path, self.model = path, model
        path.mkdir(parents=True, exist_ok=True)
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(path / "metadata.db")
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self.mlmd = metadata_store.MetadataStore(config)
        self.clock = 1_700_000_000.0
        self.serving = ServingDirectory(path / "serving" / model, clock=self.tick)
        self._types = {}
        self._contexts = {}
        self.made, self._known = {}, {}

    def tick(self) -> float:
        self.clock += 10
        return self.clock

    def run(
        self, run_id: str, *, span: int = 0, cached: tuple = (), nodes=tuple(DAG), files: bool = True, push: bool = True
    ) -> dict:
        """One run: `{"Node.output": artifact id}`. `cached` nodes take what the last run wrote; without `files`
        nothing is written beside the store; without `push` the Pusher refuses."""
        for node in nodes:
            if node in cached:
                self._execute(run_id, node, pb.Execution.CACHED, [self.made[key] for key in self.keys(node)])
            else:
                artifacts = [self._artifact(run_id, node, output, kind, span, files) for output, kind in DAG[node][2]]
                if node == "Pusher" and push:
                    self._push(run_id, artifacts[0], files)
                ids = self._execute(run_id, node, pb.Execution.COMPLETE, artifacts, span)
                self.made.update(zip(self.keys(node), ids, strict=True))
        return {key: artifact.id if hasattr(artifact, "id") else artifact for key, artifact in self.made.items()}

    def folder(self, key):
        return Path(self._known[self.made[key]].uri)

    def keys(self, node):
        return [f"{node}.{output}" for output, _ in DAG[node][2]]

    def _artifact(self, run_id, node, output, kind, span, files):
        folder = self.path / "artifacts" / node / output / run_id
        made = pb.Artifact(type_id=self._type(pb.ArtifactType, kind), uri=str(folder), state=pb.Artifact.LIVE)
        if files:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "content").write_text(f"{run_id} {node} {output}")
        values = {
            "Examples": {"span": span, "input_fingerprint": f"f{span}", "rows_train": 100, "rows_eval": 20},
            "taxiway.Verdict": {"passed": 1},
            "ModelBlessing": {"blessed": 1},
            "InfraBlessing": {"blessed": 1},
            "taxiway.OptimizationReport": {"chosen": "frozen"},
        }.get(kind, {})
        if node == "Trainer" and output == "model":
            values = {"strategy": "one_device", "steps": 30, "restarts": 0, "seconds": 2.5}
        live = self.serving.find_live() if node == "Baseline" and files else None
        if node == "Baseline":
            values = {"kind": "live" if live else "naive", "version": live.number if live else 0}
        for name, value in values.items():
            field = {int: "int_value", str: "string_value", float: "double_value"}[type(value)]
            setattr(made.custom_properties[name], field, value)
        return made

    def _push(self, run_id, pushed, files):
        number = int(self.tick())
        if files:
            model = self.path / "artifacts" / "ModelOptimizer" / "model" / run_id
            (model / "saved_model.pb").write_text(run_id)
            provenance = {"model": self.model, "run_id": run_id, "variant": "frozen", "metric": "auc", "quality": 0.9}
            provenance["model_artifact"] = {"uri": str(model), "id": self.made["ModelOptimizer.model"]}
            number = self.serving.push(model, provenance).version
        pushed.custom_properties["pushed"].int_value = 1
        pushed.custom_properties["pushed_version"].string_value = str(number)
        pushed.custom_properties["pushed_destination"].string_value = str(self.serving.base / str(number))

    def _execute(self, run_id, node, state, artifacts, span=0):
        kind, inputs, outputs = DAG[node]
        made = pb.Execution(type_id=self._type(pb.ExecutionType, kind), last_known_state=state)
        if node == "ExampleGen":
            made.custom_properties["data"].string_value = json.dumps({"path": f"/rows/span-{span}.csv"})
        if node == "SchemaGen":
            made.custom_properties["path"].string_value = "/rows/schema.pbtxt"
        contexts = [self._context("pipeline", self.model), self._context("pipeline_run", run_id)]
        contexts.append(self._context("node", f"{self.model}.{node}"))
        behind = [] if node in FIRST_NODES else [("DataGate.verdict", "_DataGate.verdict")]
        inputs = [*((key, key.split(".")[1]) for key in inputs), *behind]
        read = [(pb.Artifact(id=self.made[key]), self._event(pb.Event.INPUT, name)) for key, name in inputs]
        read = [(self._stored(artifact), event) for artifact, event in read]
        written = [
            (self._stored(pb.Artifact(id=each)) if isinstance(each, int) else each, self._event(pb.Event.OUTPUT, name))
            for each, (name, _) in zip(artifacts, outputs, strict=True)
        ]
        _, ids, _ = self.mlmd.put_execution(made, [*read, *written], contexts, reuse_context_if_already_exist=True)
        made_ids = ids[len(read) :]
        for (artifact, _), artifact_id in zip(written, made_ids, strict=True):
            artifact.id = artifact_id
            self._known[artifact_id] = artifact
        return made_ids

    def _stored(self, artifact):
        return self._known[artifact.id]

    def _event(self, kind, key):
        event = pb.Event(type=kind)
        event.path.steps.add().key = key
        event.path.steps.add().index = 0
        return event

    def _context(self, kind, name):
        if (kind, name) not in self._contexts:
            type_id = self._type(pb.ContextType, kind)
            self._contexts[kind, name] = pb.Context(type_id=type_id, name=name)
            self._contexts[kind, name].id = self.mlmd.put_contexts([pb.Context(type_id=type_id, name=name)])[0]
        return self._contexts[kind, name]

    def _type(self, cls, name):
        if (cls, name) not in self._types:
            put = {
                pb.ArtifactType: self.mlmd.put_artifact_type,
                pb.ExecutionType: self.mlmd.put_execution_type,
                pb.ContextType: self.mlmd.put_context_type,
            }[cls]
            self._types[cls, name] = put(cls(name=name))
        return self._types[cls, name]
