"""The version that was pushed, its signatures, requests to copy, latency."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taxiway.components.contract import SIGNATURE_INPUTS_FILE
from taxiway.components.files.versioned_report import SERVING_REPORT
from taxiway.components.saved_models import model_versions
from taxiway.pipeline.report import statistics
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.report.sections.common import Section, format_report_value


def describe_serving(run_data: RunData) -> Section:
    """The version, its signatures, requests to copy, latency."""
    report = run_data.read_json(SERVING_REPORT, "ServingValidator", "report", "report.json")
    push = run_data.run.push
    if not report and push is None:
        return None
    folder = (
        model_versions.list_version_folders(run_data.root.serving / run_data.run.model).get(push.version or -1)
        if push
        else None
    )
    inputs = _read_inputs(folder)
    return {
        "push": push,
        "path": str(folder or ""),
        "blessed": report.get("blessed"),
        "reason": report.get("reason", ""),
        "digest": report.get("digest", ""),
        "findings": report.get("findings", []),
        "figures": [
            (name.replace("_", " "), format_report_value(value)) for name, value in report.get("figures", {}).items()
        ],
        "inputs": inputs,
        "requests": _make_requests(run_data, inputs) if inputs else [],
    }


def _read_inputs(folder: Path | None) -> dict[str, Any]:
    path = folder / SIGNATURE_INPUTS_FILE if folder else None
    if path is None or not path.is_file():
        return {}
    return dict(json.loads(path.read_text(encoding="utf-8")).get("inputs", {}))


def _make_requests(run_data: RunData, inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Commands to copy, with a plausible row: means and most frequent values of the training split."""
    columns = run_data.statistics.get("train", statistics.SplitStatistics(0, {})).columns
    row, by_column = {}, {}
    for name, facts in inputs.items():
        column = str(facts.get("column", name))
        row[name] = by_column[column] = _pick_typical_value(columns.get(column), str(facts.get("dtype")))
    body = {"signature_name": "serving_raw", "instances": [row]}
    url = f"http://localhost:8501/v1/models/{run_data.run.model}:predict"
    return [
        ("From a server (taxiway serve)", f"curl -s {url} -d {_quote_json(body)}"),
        (
            "Without a server",
            f"echo {_quote_json(by_column)} | taxiway predict --root {shlex.quote(str(run_data.root.path))}",
        ),
    ]


def _quote_json(value: Any) -> str:
    return shlex.quote(json.dumps(value, ensure_ascii=False))


def _pick_typical_value(column: statistics.ColumnStatistics | None, dtype: str) -> Any:
    if dtype == "string":
        return column.values[0][0] if column and column.values else ""
    mean = column.mean if column and column.mean is not None else 0.0
    return round(mean) if dtype.startswith("int") else round(mean, 3)
