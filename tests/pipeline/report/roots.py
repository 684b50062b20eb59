"""A root with runs whose artifacts have real files: live, blocked by the data gate, failed in training."""

import json
from dataclasses import asdict

import numpy as np
from tensorflow_metadata.proto.v0 import statistics_pb2

from taxiway.pipeline.report import curves, scoring
from taxiway.pipeline.tracking import kept_scores, run_record
from taxiway.pipeline.tracking.run_record import (
    GateRecord,
    MetricValues,
    NodeRecord,
    PushRecord,
    RunEnvironment,
    RunRecord,
    VariantRecord,
)
from tests.pipeline.lineage.stores import DAG, FIRST_NODES, Root

SCHEMA = 'feature { name: "fare" type: FLOAT } feature { name: "company" type: BYTES %s }'


def make(folder):
    """Three runs: `run-live`, `run-blocked` (other data), `run-failed`."""
    root = Root(folder)
    root.run("run-live", span=1)
    files(root, "run-live", shift=0.0, schema="")
    version = root.serving.find_live().number
    write(root, live(version))
    root.run("run-blocked", span=2, nodes=FIRST_NODES)
    files(root, "run-blocked", shift=5.0, schema="presence { min_fraction: 1.0 }")
    write(root, blocked())
    root.run("run-failed", span=2, cached=FIRST_NODES, nodes=(*FIRST_NODES, "Transform"))
    write(root, failed())
    return root


def write(root, run):
    folder = root.path / "runs" / run.run_id
    folder.mkdir(parents=True)
    run_record.write_summary(run, folder)
    epochs = 3 if "live" in run.run_id else 4
    config = f"label: {{column: big_tipper, task: binary}}\ntraining: {{epochs: {epochs}}}\n"
    (folder / "config.yaml").write_text(config)
    if run.state == "live":
        labels = np.random.default_rng(0).integers(0, 2, 500)
        values = np.clip(labels * 0.4 + np.random.default_rng(1).uniform(0, 0.6, 500), 0, 1)
        made_from = {"version": kept_scores.VERSION, **asdict(job(root.path / "artifacts"))}
        drawn = {"made_from": made_from, "task": "binary", "rows": 500, "available": 500}
        drawn |= curves.summarize_binary(labels, values)
        drawn["intervals"] = {"Evaluator": {"overall": {"auc": {"value": [0.9, 0.92], "change": [0.35, 0.47]}}}}
        drawn |= {"confusion": [[5, 1, 0], [0, 4, 0], [2, 0, 3]], "classes": ["a", "b", "c"]}
        (folder / "scores.json").write_text(json.dumps(drawn))


def job(at):
    """What the report asks for the live run, so that no model is asked."""
    model = {
        node: str(at / node / "model/run-live/Format-Serving") for node in ("Trainer", "ModelOptimizer", "Baseline")
    }
    return scoring.ScoringJob(
        served=model["ModelOptimizer"],
        examples=str(at / "ExampleGen/examples/run-live/Split-eval"),
        label="big_tipper",
        task="binary",
        evaluators={"Evaluator": (model["Trainer"], model["Baseline"])},
        metrics=("auc",),
    )


def environment(tensorflow, tfx):
    """Of a machine that is not this one."""
    packages = {"taxiway": "0.0.1", "tensorflow": tensorflow, "tfx": tfx}
    return RunEnvironment(python="3.99.1", platform="Plan9 mips", packages=packages)


def live(version):
    slices = [("overall", 0.91, 0.5), ("payment_type=Cash", 0.7, 0.5), ("payment_type=</script>", 0.88, 0.5)]
    metrics = tuple(
        MetricValues(slice=name, rows=100, candidate={"auc": mine}, baseline={"auc": other})
        for name, mine, other in slices
    )
    return RunRecord(
        run_id="run-live",
        state="live",
        exit_code=0,
        model="taxi",
        main_metric="auc",
        started=1_700_000_000,
        ended=1_700_000_123,
        environment=environment("2.98.0", "1.16.0"),
        command=("run",),
        nodes=tuple(NodeRecord(node=node, state="done", seconds=index) for index, node in enumerate(DAG)),
        gates=(GateRecord(gate="DataGate", passed=True, numbers={"rows": {"train": 100}}),),
        metrics={"Evaluator": metrics},
        variants=(
            VariantRecord(variant="frozen", status="measured", chosen=True, size_bytes=9e5, speedup=1.2, p50_ms=1.0),
        ),
        push=PushRecord(pushed=True, version=version),
    )


def blocked():
    nodes = [NodeRecord(node=node, state="done", seconds=1.0) for node in FIRST_NODES]
    gate = GateRecord(gate="DataGate", passed=False, reason="fare: 30 % of the rows have no value")
    return RunRecord(
        run_id="run-blocked",
        state="blocked",
        exit_code=3,
        reason="DataGate: fare: 30 % of the rows have no value",
        environment=environment("2.99.0", "1.21.0"),
        model="taxi",
        started=1_700_001_000,
        ended=1_700_001_010,
        nodes=(*nodes, NodeRecord(node="Transform", state="skipped", reason="DataGate blocked")),
        gates=(gate,),
    )


def failed():
    nodes = [NodeRecord(node=node, state="cached", seconds=0.1) for node in FIRST_NODES]
    failed = NodeRecord(node="Transform", state="failed", seconds=2.0, reason="out of memory")
    return RunRecord(
        run_id="run-failed",
        state="failed",
        exit_code=1,
        reason="Transform: out of memory",
        resume="taxiway run",
        model="taxi",
        started=1_700_002_000,
        ended=1_700_002_010,
        nodes=(*nodes, failed),
    )


def files(root, run_id, shift, schema):
    """What the nodes of a run write that the report reads."""
    at = root.path / "artifacts"
    put(at / "ExampleGen/examples" / run_id / "ingest.json", {"files": ["/rows/a.csv"], "rows": {"train": 100}})
    (at / "ExampleGen/examples" / run_id / "Split-eval").mkdir()
    for split, rows in (("train", 100), ("eval", 20)):
        path = at / "StatisticsGen/statistics" / run_id / f"Split-{split}" / "FeatureStats.pb"
        path.parent.mkdir(parents=True)
        path.write_bytes(statistics(rows, shift).SerializeToString())
    (at / "SchemaGen/schema" / run_id / "schema.pbtxt").write_text(SCHEMA % schema)
    finding = {"rule": "min_fraction", "explanation": "30 % are missing", "column": "fare", "blocking": True}
    put(at / "DataGate/verdict" / run_id / "verdict.json", {"findings": [finding] if shift else []})
    if shift:
        return
    evaluations = [
        {
            "step": step,
            "loss": 1 / step,
            "learning_rate": 0.01,
            "gradient_norm": 1.0,
            "rows_per_second": 1e5,
            "metrics": {"loss": 1.1 / step, "auc": 0.9},
        }
        for step in (10, 20, 30)
    ]
    history = {"version": 1, "strategy": "one_device", "steps": 30, "evaluations": evaluations, "events": []}
    history["linear_weights"] = linear_weights()
    put(at / "Trainer/model" / run_id / "training" / "history.json", history)
    put(at / "ModelOptimizer/report" / run_id / "report.json", optimization())
    serving = {
        "version": 1,
        "blessed": True,
        "reason": "",
        "digest": "sha256:0",
        "findings": [],
        "figures": {"rows": 9},
    }
    put(at / "ServingValidator/report" / run_id / "report.json", serving)
    put(at / "ModelExplainer/explanation" / run_id / "explanation.json", explanation())


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def optimization():
    def variant(name, p50, status="measured", reason=""):
        latency = {"path": "whole", "batch_size": 32, "p50_ms": p50, "p99_ms": 2 * p50}
        latency["speedup"] = {"value": 1.0, "low": 0.9, "high": 1.1}
        quality = {"value": {"value": 0.9, "low": 0.89, "high": 0.91}}
        size = {"bytes": 1000}
        measured = {"latencies": [latency], "quality": quality, "size": size} if status == "measured" else {}
        return {"name": name, "status": status, "reason": reason, "rejected": [], "checks": [], **measured}

    return {
        "metric": "auc",
        "decision": {"chosen": "frozen", "objective": "latency", "batch_size": 32, "reasons": ["it is faster"]},
        "variants": [variant("reference", 1.2), variant("frozen", 1.0), variant("tflite", 0, "failed", "no converter")],
        "environment": {"cpu": "a processor", "python": "3.98.0", "method": "interleaved"},
    }


def explanation():
    """As ModelExplainer writes it, with names and values from a hostile table."""
    names = ["fare", "</script><b>", "a column of a very long name that no axis has room for"]
    importance = [
        {"name": name, "columns": [name], "mean": mean, "limits": [mean - 0.02, mean + 0.02], "repeats": 5}
        for name, mean in zip(names, (0.2, 0.1, -0.001), strict=True)
    ]
    importance[0]["columns"] = ["fare", "tolls"]
    hostile = ("<img src=x onerror=alert(1)>", "\u202eBlue", None)
    words = [{"value": word, "share": 0.3, "mean": [0.3]} for word in hostile]
    numbers = [{"value": value, "share": None, "mean": [value / 50]} for value in range(0, 40, 4)]
    error = {"label": "yes", "predicted": 0.01, "error": 4.6}
    values = {"fare": 3.25, "tolls": None, names[1]: "<img src=x onerror=alert(2)>\udcff", names[2]: "x" * 200}
    return {
        "version": 1,
        "split": "test",
        "task": "binary",
        "metric": "auc",
        "classes": ["no", "yes"],
        "few": "",
        "rows": {"read": 4000, "scored": 4000, "shuffled": 2000},
        "value": 0.95,
        "importance": importance,
        "dependence": [
            {"column": "fare", "is_number": True, "points": numbers},
            {"column": names[1], "is_number": False, "points": words},
        ],
        "largest_errors": [{**error, "values": values}] * 3,
        "cut_short": ["columns without partial dependence: 1"],
        "seconds": 3.0,
    }


def linear_weights():
    """As the trainer writes them, with more than the page shows, and names and words from a hostile table."""
    words = ["</script><b>", "Cash", None, "\u202eBlue"]
    words += [f"a word of the same long beginning {i}" for i in range(230)]
    terms = [{"column": "fare", "kind": "z_score"}, {"column": "fare", "kind": "bucket", "value": 2, "buckets": 16}]
    terms += [{"column": "<img src=x onerror=alert(3)>", "kind": "word", "value": word} for word in words]
    return {
        "unit": "log_odds",
        "classes": ["no", "yes"],
        "numeric_limit": 8.0,
        "bias": [0.25],
        "weights": [{**term, "weights": [(-1) ** i * (3 - i / 100)]} for i, term in enumerate(terms)],
        "left_out": 1234,
        "largest_left_out": 0.5,
    }


def statistics(rows, shift):
    made = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = made.datasets.add(name="x", num_examples=rows)
    fare = dataset.features.add(name="fare", type=statistics_pb2.FeatureNameStatistics.FLOAT)
    fare.num_stats.common_stats.num_non_missing = rows - int(shift)
    fare.num_stats.mean, fare.num_stats.std_dev, fare.num_stats.max = 10.0 + shift, 2.0, 20.0
    histogram = fare.num_stats.histograms.add(type=0)
    for low in range(0, 20, 5):
        histogram.buckets.add(low_value=low, high_value=low + 5, sample_count=rows / 4)
    company = dataset.features.add(name="company", type=statistics_pb2.FeatureNameStatistics.STRING)
    company.string_stats.common_stats.num_non_missing = rows
    company.string_stats.unique = 2
    for label, share in (("Blue", 0.75), ("<b>Red</b>", 0.25)):
        company.string_stats.rank_histogram.buckets.add(label=label, sample_count=rows * share)
    return made
