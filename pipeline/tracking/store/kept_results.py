"""Small results that a node leaves beside its execution record: what tells how a run ended and what it measured.

Artifacts of a run on a cluster are in an object store, which whoever reads the records may not reach. So a copy of what
reports are made of goes to `<root>/executions/<run id>/<node>/<output>/`, never models or rows. Nothing heavy is
imported here.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from taxiway.pipeline.tracking.store.execution_record import FOLDER

SCORES_FILE = "scores.json"
"""Curves and intervals that an Evaluator's node made while it had models and rows at hand."""
MOST_BYTES = 32 << 20
"""Of one output; larger ones are left where they are."""
KEPT_FILES: dict[str, tuple[str, ...]] = {
    "ExampleStatistics": ("**/*",),
    "Schema": ("*.pbtxt",),
    "ExampleAnomalies": ("**/*",),
    "Examples": ("*.json",),
    "ModelEvaluation": ("**/*",),
    "Model": ("training/*.json",),
    "PushedModel": ("*.json",),
    "taxiway.Verdict": ("**/*",),
    "taxiway.OptimizationReport": ("*.json",),
    "taxiway.ServingReport": ("*.json",),
    "taxiway.ModelExplanation": ("*.json",),
}
"""Patterns of the files that are kept, by the artifact's type."""
PARTIAL = frozenset({"Examples", "Model"})
"""Types of which single files are kept, which do not stand for the artifact."""


def find_folder(root: Path, run_id: str, node: str, output: str = "") -> Path:
    """The folder of a node's kept results, or of one output's."""
    return root / FOLDER / run_id / node / output


def keep_results(root: Path, run_id: str, node: str, written: Mapping[str, tuple[str, Path]]) -> list[str]:
    """Copies the small files of a node's outputs; those of the try before are gone.

    Args:
        root: Root of the runs.
        run_id: Id of the run.
        node: Id of the node.
        written: Type and local folder of each output, by key.

    Returns:
        One sentence for each output that was too large.

    Raises:
        OSError: The root cannot be written.
    """
    shutil.rmtree(find_folder(root, run_id, node), ignore_errors=True)
    notes = []
    for key, (kind, folder) in written.items():
        files = _list_files(kind, folder)
        size = sum(file.stat().st_size for file in files)
        if size > MOST_BYTES:
            notes.append(f"{node}.{key} has {size:,} bytes: no copy is kept under {root / FOLDER}.")
            continue
        for file in files:
            target = find_folder(root, run_id, node, key) / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return notes


def _list_files(kind: str, folder: Path) -> list[Path]:
    patterns = KEPT_FILES.get(kind, ())
    return sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
