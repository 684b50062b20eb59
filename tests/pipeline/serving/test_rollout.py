"""The candidate from the command line: what a verdict asks for, and what the commands do and say."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from taxiway.components.serving.config import ROLLOUT_FOLDER, ServingConfig
from taxiway.components.serving.versions import operations, push
from taxiway.components.serving.versions.candidates.candidate import Candidate, RolloutStep
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline import cli
from taxiway.pipeline.monitoring.verdicts import write_verdict
from taxiway.pipeline.root import Root
from taxiway.pipeline.serving.rollout import CandidateVerdict, decide_canary
from tests.components.serving.conftest import fake_model
from tests.pipeline.monitoring.test_verdicts import FINDING, make_verdict

SHARES = (0.05, 0.5)


def make_canary(*shares: float) -> Candidate:
    return Candidate(7, "canary", SHARES, tuple(RolloutStep(share, 1000.0) for share in shares))


def make_word(status: str, start: float = 1001.0) -> CandidateVerdict:
    return CandidateVerdict(status, start, start + 60, f"it is {status}")


@pytest.mark.parametrize(
    ("shares", "verdict", "change", "said"),
    [
        ((0.05,), None, "waits", "taxiway monitor --version 7"),
        ((0.05,), make_word("right"), "stepped", "it is right"),
        ((0.05, 0.5), make_word("right"), "promoted", "it is right"),
        ((0.05,), make_word("too_few_rows"), "waits", "it is too_few_rows"),
        ((0.05,), make_word("right", 999.0), "waits", "--hours 1"),
        ((0.05,), make_word("wrong", 999.0), "withdrawn", "it is wrong"),
        ((0.05, 0.5), make_word("wrong"), "withdrawn", "it is wrong"),
        ((0.05,), make_word("not_standing"), "waits", "it is not_standing"),
        ((0.05,), make_word("live_too", 999.0), "waits", "it is live_too"),
    ],
)
def test_what_a_verdict_asks_for(
    shares: tuple[float, ...], verdict: CandidateVerdict | None, change: str, said: str
) -> None:
    decided, reason = decide_canary(make_canary(*shares), verdict, 4600.0)
    assert decided == change and said in reason


@pytest.mark.parametrize("seconds", [1.8, 60, 3600, 44_496, 98_928, 444_960, 4_442_400.5, 4e8])
def test_the_window_of_the_printed_command_lies_behind_the_last_step(seconds: float) -> None:
    now = 2e9
    candidate = Candidate(7, "canary", SHARES, (RolloutStep(0.05, now - seconds),))
    decided, reason = decide_canary(candidate, make_word("right", now - 9e8), now)
    words = reason.partition("taxiway monitor ")[2].split()
    assert decided == "waits" and words[:2] == ["--version", "7"]
    typed = now + 10
    start = typed - float(words[words.index("--hours") + 1]) * 3600
    assert decide_canary(candidate, make_word("right", start), typed)[0] == "stepped"
    assert start - (now - seconds) < 15, "and leaves nearly nothing of it out"


class Commands:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.root, self._capsys = folder, folder / "root", capsys
        self.directory = ServingDirectory(self.root / "serving/taxi")

    def push(self, content: str, promotion: str) -> int:
        config = ServingConfig.model_validate({"promotion": promotion, "rollout": {"canary_shares": SHARES}})
        model = fake_model(self.folder / content, content.encode())
        result = push.push_model(model, self.directory.base, "taxi", {"run_id": content}, config)
        assert result.version
        return result.version

    def run(self, *words: str) -> tuple[int, str]:
        code = cli.run([*words, "--root", str(self.root)])
        printed = self._capsys.readouterr()
        return code, printed.out + printed.err

    def read(self, *words: str) -> tuple[int, Any]:
        """The exit code, and what is on standard output as JSON."""
        code = cli.run([*words, "--json", "--root", str(self.root)])
        return code, json.loads(self._capsys.readouterr().out)

    def judge(self, version: int, status: str, **more: Any) -> None:
        end = time.time() + 7200
        changes = {"status": status, "findings": [FINDING] if status == "wrong" else [], **more}
        window = {"window_start": time.time() + 1, "window_end": end}
        write_verdict(Root.at(self.root), make_verdict(version, end, **changes, **window))


@pytest.fixture
def taxiway(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Commands:
    made = Commands(tmp_path, capsys)
    made.push("live", "canary")
    return made


def test_a_canary_steps_up_by_verdicts_and_becomes_live(taxiway: Commands) -> None:
    number = taxiway.push("new", "canary")
    assert f"{number} answers 5 % of the requests" in taxiway.run("versions")[1]
    code, told = taxiway.run("promote", "--auto")
    assert code == 0 and f"taxiway monitor --version {number}" in told
    taxiway.judge(number, "right")
    assert "answers 50 %" in taxiway.run("promote", "--auto")[1]
    assert taxiway.directory.load_state().candidate.share == 0.5
    time.sleep(1.1)
    taxiway.judge(number, "right")
    code, decision = taxiway.read("promote", "--auto")
    assert (code, decision["change"], decision["candidate"]) == (0, "promoted", number)
    live = taxiway.directory.find_live()
    assert live.number == decision["version"] and live.provenance["promotion_reason"].startswith("verdict: ")
    assert f"candidate {number}" in taxiway.run("versions")[1]


def test_a_bad_verdict_takes_a_canary_back(taxiway: Commands) -> None:
    live = taxiway.directory.find_live().number
    number = taxiway.push("new", "canary")
    taxiway.judge(number, "wrong", options=["--set min_rows=5"], standing=False)
    code, told = taxiway.run("promote", "--auto")
    assert code == 0 and "stays a candidate" in told and "made with --set min_rows=5" in told
    taxiway.judge(number, "wrong")
    code, told = taxiway.run("promote", "--auto")
    assert code == 0 and f"Taken back: version {number}" in told
    assert taxiway.directory.find_live().number == live
    assert taxiway.directory.get_version(number).quarantine["reason"].startswith("verdict: miles")


def test_a_new_candidate_is_not_judged_by_an_old_ones_verdict(taxiway: Commands) -> None:
    """Retention takes withdrawn candidates away at the next push; their verdicts and their records stay."""
    first = taxiway.push("first", "canary")
    taxiway.judge(first, "wrong")
    assert f"Taken back: version {first}" in taxiway.run("promote", "--auto")[1]
    for content in ("second", "third"):
        number = taxiway.push(content, "canary")
        code, decision = taxiway.read("promote", "--auto")
        assert (code, decision["change"], decision["candidate"]) == (0, "waits", number) and number != first
        assert "no verdict on version" in decision["reason"]
        assert taxiway.run("rollback")[0] == 0
    assert first not in [version.number for version in taxiway.directory.list_versions()]


def test_a_verdict_on_other_bytes_under_the_candidates_number_is_none_on_it(taxiway: Commands) -> None:
    number = taxiway.push("new", "canary")
    taxiway.judge(number, "wrong", digest="sha256:of-another")
    assert taxiway.read("promote", "--auto")[1]["change"] == "waits"
    taxiway.judge(number, "wrong", digest=taxiway.directory.get_version(number).digest)
    assert taxiway.read("promote", "--auto")[1]["change"] == "withdrawn"


def test_a_rollback_takes_the_candidate_back_first_then_the_live_version(taxiway: Commands) -> None:
    second = taxiway.push("second", "immediate")
    number = taxiway.push("new", "shadow")
    assert f"Taken back: version {number}" in taxiway.run("rollback", "--reason", "odd")[1]
    assert taxiway.directory.find_live().number == second
    assert "Live: version" in taxiway.run("rollback")[1]
    assert taxiway.directory.find_live().provenance["rollback_of"] == second


def test_a_person_sets_the_share_and_promotes(taxiway: Commands) -> None:
    number = taxiway.push("new", "shadow")
    code, told = taxiway.run("promote", "--auto")
    assert code == 2 and "is a shadow" in told
    assert "compared on 25 %" in taxiway.run("promote", "--share", "0.25")[1]
    assert taxiway.run("promote", "--share", "25")[0] == 1
    code, told = taxiway.run("promote", "--reason", "equal answers")
    assert code == 0 and "Live: version" in told
    assert taxiway.directory.find_live().provenance["promoted_from"] == number
    assert taxiway.run("promote")[0] == 2


def test_a_step_whose_files_fail_is_told_and_ends_with_1(taxiway: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no room")

    taxiway.push("new", "canary")
    monkeypatch.setattr(operations.server_files, "refresh_files", fail)
    code, told = taxiway.run("promote", "--share", "0.2")
    assert code == 1 and "answers 20 %" in told and "Done, but: The server's files were not rewritten" in told
    code, decision = taxiway.read("promote", "--share", "0.3")
    assert code == 1 and decision["share"] == 0.3 and "no room" in decision["unfinished"][0]


def test_versions_shows_what_the_shadow_has_shown(taxiway: Commands) -> None:
    number = taxiway.push("new", "shadow")
    figures: dict[str, Any] = {
        "version": 1, "candidate": number, "live": 1, "since": 0, "updated": 1, "requests": 1200, "rows": 2400,
        "failed": 1, "first_error": "KeyError: x", "dropped": 7, "labelled_rows": 2000, "equal_labels": 1990,
        "outputs": {"probabilities": {"values": 2400, "mean_difference": 0.0123, "max_difference": "infinite"}},
        "latency_ms": {"live": {"mean": 2, "p50": 1.5, "p99": 3}, "candidate": {"mean": 2, "p50": 1.25, "p99": 3}},
    }  # fmt: skip
    folder = taxiway.directory.base / ROLLOUT_FOLDER
    folder.mkdir()
    (folder / f"shadow-{number}-host-1.json").write_text(json.dumps(figures))
    told = taxiway.run("versions")[1]
    for words in (
        "1,200 requests",
        "1 failed",
        "7 dropped",
        "99.50%",
        "0.0123 on average, infinite at most",
        "1.25 ms",
    ):
        assert words in told
    listed = json.loads(taxiway.run("versions", "--json")[1])
    [tried] = [each for each in listed if each["candidate"]]
    assert tried["version"] == number and tried["shadow"] == [figures] and not tried["live"]
    (folder / f"shadow-{number}-host-1.json").write_text("{")
    code, told = taxiway.run("versions")
    assert code == 1 and "is damaged" in told


def test_label_and_version_go_together(taxiway: Commands) -> None:
    assert taxiway.run("promote", "--label", "stable")[0] == 2
    number = str(taxiway.directory.find_live().number)
    assert taxiway.run("promote", number)[0] == 2
    assert taxiway.run("promote", number, "--label", "stable")[0] == 0
