"""Verdicts under a root: what is written is read, in order, and damage is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxiway.components.errors import StoreError
from taxiway.components.serving.versions.candidates.candidate import Trial
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.monitoring.candidate import read_candidate_verdict
from taxiway.pipeline.monitoring.verdicts import (
    VERDICT_FILE,
    LiveMetric,
    MonitoringFinding,
    ServingVerdict,
    list_verdicts,
    read_latest_verdict,
    write_verdict,
)
from taxiway.pipeline.root import Root
from tests.components.serving.conftest import fake_model

FINDING = MonitoringFinding(
    kind="skew", column="miles", value=0.4, limit=0.1, by_chance=0.02, text="miles: the divergence is 0.4, not 0.1"
)


def make_verdict(version: int, end: float, **changes: object) -> ServingVerdict:
    known = {
        "model": "taxi", "model_version": version, "created": end + 5, "window_start": end - 3600, "window_end": end,
        "requests": 10, "rows": 500, "fewest_rows": 200, "status": "right",
    }  # fmt: skip
    return ServingVerdict.model_validate({**known, **changes})


def test_newest_window_comes_first(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    written = [make_verdict(7, 1e9), make_verdict(8, 3e9), make_verdict(7, 2e9, status="wrong", findings=[FINDING])]
    folders = [write_verdict(root, verdict) for verdict in written]
    assert len(set(folders)) == 3
    assert [verdict.window_end for verdict in list_verdicts(root)] == [3e9, 2e9, 1e9]
    assert list_verdicts(tmp_path, "taxi", 7) == [written[2], written[0]]
    assert list_verdicts(root, "flights") == []
    assert read_latest_verdict(root, 7) == written[2]
    assert read_latest_verdict(root, 9) is None


def test_a_window_judged_twice_has_two_verdicts(tmp_path: Path) -> None:
    first, again = make_verdict(7, 1e9), make_verdict(7, 1e9, created=1e9 + 60)
    assert write_verdict(Root.at(tmp_path), first) != write_verdict(Root.at(tmp_path), again)
    assert read_latest_verdict(tmp_path, 7) == again


def test_late_labels_speak_of_a_candidate_before_newer_windows_without(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    directory = ServingDirectory(root.serving / "taxi")
    directory.push(fake_model(tmp_path / "live", b"live"), {})
    pushed = directory.push(fake_model(tmp_path / "tried", b"tried"), {}, trial=Trial("canary", (0.5,)))

    def judge(end: float, status: str, *findings: MonitoringFinding, labelled: bool = True) -> str:
        metrics = [LiveMetric(metric="auc", live=0.7, rows=400)] if labelled else []
        made = make_verdict(pushed.version, end, status=status, findings=findings, performance=metrics)
        write_verdict(root, made)
        read = read_candidate_verdict(tmp_path, "taxi")
        assert read
        return read.status

    worse = FINDING.model_copy(update={"kind": "metric"})
    assert judge(2e9, "right", labelled=False) == "right"
    assert judge(1.8e9, "wrong", FINDING) == "right", "columns that a newer window has right"
    assert judge(1e9, "wrong", worse) == "right", "newer labels say nothing of it"
    assert judge(1.9e9, "wrong", FINDING, worse) == "wrong"
    assert judge(1.95e9, "right") == "right"


class Judged:
    """A live version and a candidate, and wrong verdicts on them."""

    def __init__(self, folder: Path) -> None:
        self.root = Root.at(folder)
        directory = ServingDirectory(self.root.serving / "taxi")
        self.live = directory.push(fake_model(folder / "live", b"live"), {}).version or 0
        trial = Trial("canary", (0.5,))
        self.tried = directory.push(fake_model(folder / "tried", b"tried"), {}, trial=trial).version or 0

    def judge(self, version: int, end: float, *findings: MonitoringFinding, **changes: object) -> str:
        """Writes a verdict. Returns the status that the candidate has then."""
        write_verdict(self.root, make_verdict(version, end, status="wrong", findings=findings, **changes))
        read = read_candidate_verdict(self.root.path, "taxi")
        return read.status if read else "none"


def test_a_candidate_is_not_blamed_for_requests_that_changed_for_the_live_version_too(tmp_path: Path) -> None:
    judged = Judged(tmp_path)
    judge, live, tried = judged.judge, judged.live, judged.tried
    fare = FINDING.model_copy(update={"column": "fare"})
    assert judge(live, 1e9, FINDING, fare) == "none"
    assert judge(tried, 1e9 + 7200, FINDING) == "wrong", "the live version's window is an earlier one"
    assert judge(live, 1e9 + 7000, FINDING, fare, standing=False, options=["--set x=1"]) == "wrong"
    assert judge(live, 1e9 + 7100, FINDING, fare) == "live_too"
    read = read_candidate_verdict(tmp_path, "taxi")
    assert read and read.reason.startswith(f"{FINDING.text}; of the live version {live}, too")
    assert judge(live, 1e9 + 7150, fare) == "wrong", "by a newer verdict the live version's miles are right"
    for end, kind in enumerate(("scores", "calibration", "metric"), 8000):
        own = FINDING.model_copy(update={"kind": kind})
        judge(live, 1e9 + end, FINDING, own)
        assert judge(tried, 1e9 + end, FINDING, own) == "wrong", "answers are its own"


def test_of_shifted_labels_the_live_versions_newest_verdict_with_labels_is_asked(tmp_path: Path) -> None:
    judged = Judged(tmp_path)
    shifted = FINDING.model_copy(update={"kind": "label_shift", "column": ""})
    metric = [LiveMetric(metric="auc", live=0.7, rows=400)]
    judged.judge(judged.live, 1e9 + 100, FINDING, shifted, performance=metric)
    judged.judge(judged.live, 1e9 + 200, FINDING)
    assert judged.judge(judged.tried, 1e9 + 150, FINDING, shifted, performance=metric) == "live_too"
    assert judged.judge(judged.live, 1e9 + 300, FINDING, performance=metric) == "wrong"


def test_the_reason_says_what_was_found() -> None:
    assert make_verdict(7, 1e9).reason == "500 rows are as in training"
    few = make_verdict(7, 1e9, rows=12, status="too_few_rows")
    assert few.reason == "12 rows were logged in the window, at least 200 are wanted: not judged"
    chance = FINDING.model_copy(update={"blocking": False})
    wrong = make_verdict(7, 1e9, status="wrong", findings=[FINDING, FINDING, chance])
    assert wrong.reason == "miles: the divergence is 0.4, not 0.1 (and 1 more)"


@pytest.mark.parametrize("content", ["{", '{"version": 1, "model": "taxi"}', '{"version": 2}'])
def test_damage_names_the_file(tmp_path: Path, content: str) -> None:
    folder = write_verdict(Root.at(tmp_path), make_verdict(7, 1e9))
    (folder / VERDICT_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(StoreError, match=VERDICT_FILE):
        list_verdicts(tmp_path)
