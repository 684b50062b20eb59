from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxiway.pipeline.timeline import chrome_trace
from taxiway.pipeline.timeline.spans import (
    PHASES,
    Span,
    compute_coverage,
    read_packages,
    read_spans,
    slice_wall_time,
    sum_phases,
)


def span(start: float, end: float, phase: str = "execute", component: str = "Trainer", process: int = 1) -> Span:
    return Span(process, "program", component, phase, f"{phase} {start}", start, end)


TIMES = st.integers(0, 50)
SPANS = st.lists(
    st.builds(
        lambda a, b, phase, component: span(min(a, b), max(a, b), phase, component),
        TIMES,
        TIMES,
        st.sampled_from(PHASES),
        st.sampled_from(("run", "Trainer", "Evaluator")),
    ),
    max_size=12,
)


@given(SPANS)
def test_each_moment_counts_once_for_what_began_last(spans):
    slices = slice_wall_time(spans, 0, 50)
    assert slices[0].start == 0 and slices[-1].end == 50
    assert all(left.end == right.start for left, right in itertools.pairwise(slices))
    for part in slices:
        middle = part.start + min(0.5, part.seconds / 2)
        going = [each for each in spans if each.start <= middle < each.end]
        if not going:
            assert part.span is None
        else:
            assert part.span in going
            assert part.span.start == max(each.start for each in going)
    summed = sum(seconds for phases in sum_phases(slices).values() for seconds in phases.values())
    assert summed == pytest.approx(50 * compute_coverage(slices))


def test_a_childs_work_is_not_its_parents():
    waits, works = span(0, 10, "execute", "Trainer", 1), span(2, 6, "import", "Trainer", 2)
    sums = sum_phases(slice_wall_time([waits, works], 0, 12))
    assert {phase: seconds for phase, seconds in sums["Trainer"].items() if seconds} == {"execute": 6, "import": 4}
    assert compute_coverage(slice_wall_time([waits, works], 0, 12)) == pytest.approx(10 / 12)


def test_torn_and_foreign_lines_are_left_out(tmp_path):
    file = tmp_path / "profile.jsonl"
    good = span(1, 2)
    lines = [json.dumps(vars(good)), json.dumps({**vars(good), "phase": "sleep"}), '{"process": 1, "pro', "[1]"]
    file.write_text("\n".join([*lines, json.dumps({**vars(good), "end": 0.5})]))
    assert read_spans(file) == [good]
    assert read_spans(tmp_path / "none") == []


def test_packages_of_equal_programs_are_told_together(tmp_path):
    file = tmp_path / "profile.jsonl"
    lines = [{"program": "a", "packages": ["x"]}, vars(span(1, 2)), {"program": "a", "packages": ["y", "x"]}, {}, [3]]
    file.write_text("\n".join(map(json.dumps, lines)))
    assert read_packages(file) == {"a": ["x", "y"]}
    assert len(read_spans(file)) == 1
    assert read_packages(tmp_path / "none") == {}


def test_the_trace_is_chromes_format(tmp_path):
    spans = [span(100.0, 103.0), span(101.0, 102.0, "import", "Trainer", 2)]
    file = chrome_trace.write_trace(chrome_trace.build_trace(spans, 100.0, 104.0), tmp_path)
    trace = json.loads(file.read_text())
    names = [event for event in trace["traceEvents"] if event["ph"] == "M"]
    assert {event["pid"] for event in names} == {1, 2}
    whole = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert [(event["ts"], event["dur"], event["cat"], event["tid"]) for event in whole] == [
        (0, 3_000_000, "execute", "Trainer"),
        (1_000_000, 1_000_000, "import", "Trainer"),
    ]
    assert trace["otherData"]["covered_share"] == 0.75
    assert trace["otherData"]["seconds"] == {"Trainer": {"execute": 2.0, "import": 1.0}}
