"""The report's scores, computed beside the last nodes: the exit code of a live run does not wait for them."""

from __future__ import annotations

import threading
import traceback

from taxiway.components.processes import phases
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.store.kept_results import SCORES_FILE

BEGINS_AFTER = "ModelOptimizer"
"""From here on every model that the report compares is there."""
PATIENCE_SECONDS = 1.5
"""Wait for the scores at the end of a live run; writing the page takes about as long."""


class EarlyScores:
    """Scores of one run, computed in a thread that waits for the child that computes them.

    Args:
        root: Root of the run.
        run_id: Id of the run.
    """

    def __init__(self, root: Root, run_id: str) -> None:
        self._root, self._run_id = root, run_id
        self._thread = threading.Thread(target=self._compute_scores, name="scores", daemon=True)
        self._begun = False

    def note_end(self, node: str, state: str) -> None:
        """Begins once the last model is there; called as each node ends."""
        if node == BEGINS_AFTER and state in ("done", "cached") and not self._begun:
            self._begun = True
            self._thread.start()

    def find_delay(self) -> str:
        """Waits a moment for the scores; then why the page is written without them, or nothing where it need not be."""
        if not self._begun:
            return ""
        self._thread.join(PATIENCE_SECONDS)
        if (self._root.run_folder(self._run_id) / SCORES_FILE).exists():
            return ""
        state = "could not be computed, see the log" if not self._thread.is_alive() else "were not ready"
        return f"when the model went live, the scores {state}; `taxiway report {self._run_id}` computes them"

    def _compute_scores(self) -> None:
        from taxiway.pipeline.report import build

        with phases.enter_component("Report"):
            try:
                build.prepare_scores(self._root, self._run_id)
            except Exception:  # the report itself says what is missing
                traceback.print_exc()
