"""The taxi example's live version is asked real rows and judged by its log: honest traffic, and a changed unit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from taxiway.components.serving.config import RequestLogConfig
from taxiway.components.serving.requests.clients import GrpcClient, RestClient
from taxiway.components.serving.requests.from_examples import RequestBuilder, read_cell, read_examples
from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions
from tests.e2e.conftest import Run, taxiway
from tests.pipeline.monitoring.served import wait_until_ready

pytestmark = pytest.mark.e2e
ROWS, BATCH = 900, 30
EXTRA = ("training_statistics.pb", "training_schema.pbtxt", "training_reference.json")


def ask_server(live: Path, files: list[Path], change: Callable[[tf.train.Example], None]) -> list[tf.train.Example]:
    """Sends rows to a server of the version, a third by each way, and returns them; the log is whole afterwards."""
    rows = read_examples(files, ROWS)
    for row in rows:
        change(row)
    logged = RequestLogConfig(sampling_rate=1.0).model_dump_json()
    options = ServerOptions(rest_port=0, grpc_port=0, poll_seconds=0.05, request_log=logged)
    with EmbeddedServer("taxi", live.parent, options) as server:
        wait_until_ready(f"http://127.0.0.1:{server.rest_port}/readyz")
        builder = RequestBuilder.from_examples(rows, live, "big_tipper")
        clients = [
            GrpcClient(f"127.0.0.1:{server.grpc_port}", "taxi"),
            RestClient(f"127.0.0.1:{server.rest_port}", "taxi"),
        ]
        ways = [(clients[0], "serving_default"), (clients[0], "serving_raw"), (clients[1], "serving_raw")]
        for start in range(0, ROWS, BATCH):
            client, signature = ways[start // BATCH % len(ways)]
            client.predict(signature, builder.build_request(signature, slice(start, start + BATCH)))
    return rows


def format_moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def change_unit(row: tf.train.Example) -> None:
    miles = row.features.feature["trip_miles"].float_list
    miles.value[:] = [value * 1609.344 for value in miles.value]


def test_a_pushed_version_carries_its_training(taxi: Run) -> None:
    present = {path.name for path in (taxi.live / "assets.extra").iterdir()}
    assert present >= set(EXTRA)
    assert b"tips" not in (taxi.live / "assets.extra" / "training_statistics.pb").read_bytes()  # a column left out
    reference = json.loads((taxi.live / "assets.extra" / "training_reference.json").read_text())
    assert (reference["label"], reference["task"], reference["split"]) == ("big_tipper", "binary", "eval")
    assert len(reference["scores"]) == 500


def test_honest_traffic_is_right_a_changed_unit_is_not_and_lineage_tells(taxi: Run, tmp_path: Path) -> None:
    examples = taxi.artifact("ExampleGen", "examples")
    files = sorted(path for split in ("Split-eval", "Split-test") for path in (examples / split).iterdir())
    rows = ask_server(taxi.live, files, lambda row: None)
    keys = ("trip_start_timestamp", "company", "fare", "pickup_latitude", "trip_seconds")
    labels = tmp_path / "labels.jsonl"
    cells = [{name: read_cell(row, name) for name in (*keys, "big_tipper")} for row in rows]
    texts = [{name: v.decode() if isinstance(v, bytes) else v for name, v in row.items()} for row in cells]
    labels.write_text("\n".join(map(json.dumps, texts)), encoding="utf-8")
    ids = [word for name in keys for word in ("--id", name)]
    named = ("--root", taxi.root.path, "--json", "--until", format_moment(time.time() + 2))
    done = taxiway("monitor", *named, "--hours", 1, "--labels", labels, *ids, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    honest = json.loads(done.stdout)
    assert (honest["status"], honest["rows"], honest["findings"]) == ("right", ROWS, [])
    live = {each["metric"]: each for each in honest["performance"]}
    low, high = live["auc"]["interval"]
    assert low <= live["auc"]["live"] <= high and abs(live["auc"]["live"] - live["auc"]["promised"]) < 0.05
    assert live["auc"]["rows"] > 0.6 * ROWS
    why = taxiway("lineage", "--root", taxi.root.path, "--why", cwd=tmp_path)
    assert "is right: 900 rows are as in training" in " ".join(why.stdout.split())

    start = int(time.time())  # the log has whole seconds; the honest rows are older by the two commands above
    ask_server(taxi.live, files, change_unit)
    end = time.time() + 10
    named = ("--root", taxi.root.path, "--json", "--until", format_moment(end), "--hours", (end - start) / 3600)
    done = taxiway("monitor", *named, cwd=tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    wrong = json.loads(done.stdout)
    assert "trip_miles" in {finding["column"] for finding in wrong["findings"] if finding["blocking"]}
    assert wrong["reason"].startswith("trip_miles: ")
    why = taxiway("lineage", "--root", taxi.root.path, "--why", cwd=tmp_path)
    assert "is wrong: trip_miles" in " ".join(why.stdout.split())
