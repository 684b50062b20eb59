"""What `scores.json` keeps of a run's scored models, for whoever scores nothing. Nothing heavy is imported here."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.run_record import OVERALL, RunRecord
from taxiway.pipeline.tracking.store.kept_results import SCORES_FILE, find_folder

VERSION = 7
_READABLE = (6, VERSION)
"""Version 6 is of the first 20,000 rows of a split, and does not say how many there were."""


def read_scores(folder: Path) -> dict[str, Any]:
    """What a folder keeps of an earlier answer, also one of an older Taxiway; empty where there is none, or it is
    damaged."""
    with contextlib.suppress(OSError, ValueError):
        known = json.loads((folder / SCORES_FILE).read_text(encoding="utf-8"))
        if isinstance(known, dict) and _select_entry(known, "made_from").get("version") in _READABLE:
            return known
    return {}


def read_main_intervals(root: Root, run: RunRecord) -> dict[str, dict[str, Any]]:
    """The 95 % intervals of a run's main metric over all rows.

    Args:
        root: Root of the run.
        run: Its record.

    Returns:
        By evaluator `{"value": [low, high], "change": [low, high]}`, the change being against the baseline, or
        `{"few": "3 rows of class yes"}`; no entry where nothing has been computed (yet).
    """
    found = {}
    for node in run.metrics:
        places = (root.run_folder(run.run_id), find_folder(root.path, run.run_id, node))  # the latter of a cluster
        known = [_select_entry(read_scores(place), "intervals", node, OVERALL, run.main_metric) for place in places]
        if any(known):
            found[node] = next(entry for entry in known if entry)
    return found


def _select_entry(content: Any, *keys: str) -> dict[str, Any]:
    """The object under these keys; empty where there is none."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}
