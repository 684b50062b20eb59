"""Roots as emulated runs leave them: records by the real writer, objects in the emulation's buckets, real pushes."""

import json

from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.tracking.store import execution_record
from tests.pipeline.lineage.stores import DAG, FIRST_NODES

EXECUTORS = {
    "ExampleGen": "taxiway.components.example_gen.executor.TabularExampleGenExecutor",
    "SchemaGen": "taxiway.components.schema.executor.SchemaExecutor",
}


class Cluster:
    """A root that grows by whole emulated runs."""

    def __init__(self, root, began=1_700_000_000.0):
        self.root, self.clock = root, began
        root.mkdir(parents=True, exist_ok=True)
        self.made = {}
        self.serving = ServingDirectory(root / "serving" / "taxi", clock=self.tick)

    def tick(self):
        self.clock += 10
        return self.clock

    def run(self, run_id, *, cached=(), nodes=tuple(DAG), failed="", emulated=True):
        """One run; `cached` nodes leave no record, `failed` fails, without `emulated` the objects are elsewhere."""
        for node in nodes:
            if node not in cached:
                self._execute(run_id, node, failed == node, emulated)

    def _execute(self, run_id, node, failed, emulated):
        _, inputs, outputs = DAG[node]
        inputs = [*inputs, *([] if node in FIRST_NODES else ["DataGate.verdict"])]
        started = self.tick()
        written = {} if failed else {key: self._object(run_id, node, key, kind, emulated) for key, kind in outputs}
        record = execution_record.ExecutionRecord(
            run_id=run_id,
            pipeline="taxi",
            node=node,
            executor=EXECUTORS.get(node, f"tfx.components.{node}.Executor"),
            state="failed" if failed else "complete",
            started=started,
            finished=self.tick(),
            error="ValueError: no rows" if failed else "",
            properties=properties(node),
            parameters={"root": str(self.root), "span": "latest", "epochs": 3.0},
            inputs={key.replace(".", "_"): (self.made[key],) for key in inputs},
            outputs={key: (artifact,) for key, artifact in written.items()},
        )
        self.made.update({f"{node}.{key}": artifact for key, artifact in written.items()})
        execution_record.write_record(self.root, record)

    def _object(self, run_id, node, key, kind, emulated):
        uri = f"minio://bucket/taxi/{run_id}/{node}/{key}"
        folder = self.root / "kfp" / "objects" / uri.replace("://", "/")
        known = {"taxiway.Verdict": {"passed": 1.0}, "Examples": {"rows_train": 100.0, "custom:span": 3.0}}.get(
            kind, {}
        )
        known = {"ModelBlessing": {"blessed": 1.0}, "InfraBlessing": {"blessed": 1.0}}.get(kind, known)
        if emulated:
            folder.mkdir(parents=True)
            (folder / "saved_model.pb").write_text(run_id)
        if node == "Pusher":
            version = self.serving.push(folder, {"model": "taxi", "run_id": run_id}).version if emulated else 7
            known = {"pushed": 1.0, "pushed_version": str(version), "reason": f"pushed, as version {version}"}
            known["pushed_destination"] = str(self.serving.base / str(version))
        return execution_record.ArtifactRecord(uri=uri, type=kind, properties={"state": "x", **known})


def properties(node):
    training = {"training": {"epochs": 3.0, "optimizer": {"name": "adam"}}}
    return {
        "ExampleGen": {"data": json.dumps({"path": "/rows/day.csv"}), "label": json.dumps({"column": "tip"})},
        "SchemaGen": {"path": "/rows/schema.pbtxt", "edited": 1.0},
        "Trainer": {"custom_config": json.dumps(training)},
        "ModelOptimizer": {"metric": "auc", "config": json.dumps({"objective": "size"})},
        "Pusher": {"model_name": "taxi", "config": json.dumps({"versions_kept": 5})},
    }.get(node, {})
