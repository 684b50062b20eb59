"""Which rows the report's numbers are of, in words."""

import pytest

from taxiway.pipeline.report import scoring
from taxiway.pipeline.report.sections import evaluation
from taxiway.pipeline.tracking.run_record import NodeRecord, RunRecord


@pytest.mark.parametrize(
    ("scored", "words"),
    [
        ({"rows": 500, "available": 500}, "all 500 evaluation rows"),
        ({"rows": 20_000, "available": 1_000_000}, "20,000 rows drawn at random from the 1,000,000 evaluation rows"),
        ({"rows": 500}, "500 evaluation rows"),
        ({"rows": scoring.MOST_ROWS}, "the first 20,000 evaluation rows"),  # as an older Taxiway took them
        ({"error": "no model"}, "0 evaluation rows"),
    ],
)
def test_how_the_rows_were_taken_is_said(scored, words):
    assert evaluation._describe_scored_rows(scored).startswith(words)


@pytest.mark.parametrize(("state", "told"), [("done", True), ("cached", True), ("skipped", False)])
def test_the_tuner_has_chosen_on_eval_where_it_ran(state, told):
    run = RunRecord(run_id="r", state="live", started=0.0, nodes=(NodeRecord(node="Tuner", state=state),))
    assert ("Tuner" in evaluation._list_choices(run)) == told
