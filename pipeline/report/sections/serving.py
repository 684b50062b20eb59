"""The version that was pushed, its signatures, requests to copy, latency."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import servables
from components.contract import SIGNATURE_INPUTS_FILE
from pipeline.report import statistics
from pipeline.report.sections.common import Section, short
from pipeline.report.sources import RunSources


def serving(sources: RunSources) -> Section:
    """The version, its signatures, requests to copy, latency."""
    report = sources.json("ServingValidator", "report", "report.json")
    push = sources.run.push
    if not report and push is None:
        return None
    folder = (
        servables.version_folders(sources.root.serving / sources.run.model).get(push.version or -1) if push else None
    )
    inputs = _inputs(folder)
    return {
        "push": push,
        "path": str(folder or ""),
        "blessed": report.get("blessed"),
        "reason": report.get("reason", ""),
        "digest": report.get("digest", ""),
        "findings": report.get("findings", []),
        "figures": [(name.replace("_", " "), short(value)) for name, value in report.get("figures", {}).items()],
        "inputs": inputs,
        "requests": _requests(sources, inputs) if inputs else [],
    }


def _inputs(folder: Path | None) -> dict[str, Any]:
    path = folder / SIGNATURE_INPUTS_FILE if folder else None
    if path is None or not path.is_file():
        return {}
    return dict(json.loads(path.read_text(encoding="utf-8")).get("inputs", {}))


def _requests(sources: RunSources, inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to type, with a plausible row: means and most frequent values of the training split."""
    columns = sources.statistics.get("train", statistics.Split(0, {})).columns
    row, by_column = {}, {}
    for name, facts in inputs.items():
        column = str(facts.get("column", name))
        row[name] = by_column[column] = _plausible(columns.get(column), str(facts.get("dtype")))
    body = {"signature_name": "serving_raw", "instances": [row]}
    url = f"http://localhost:8501/v1/models/{sources.run.model}:predict"
    return [
        ("From a server (taxiway serve)", f"curl -s {url} -d {_quoted(body)}"),
        (
            "Without a server",
            f"echo {_quoted(by_column)} | taxiway predict --root {shlex.quote(str(sources.root.path))}",
        ),
    ]


def _quoted(value: Any) -> str:
    return shlex.quote(json.dumps(value, ensure_ascii=False))


def _plausible(column: statistics.Column | None, dtype: str) -> Any:
    if dtype == "string":
        return column.values[0][0] if column and column.values else ""
    mean = column.mean if column and column.mean is not None else 0.0
    return round(mean) if dtype.startswith("int") else round(mean, 3)
