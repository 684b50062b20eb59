"""What a watch begins, in which order, and what it makes of how its runs end."""

import contextlib
import json

import pytest

from taxiway.components.errors import StoreError, UsageError
from taxiway.components.serving.versions.candidates import changes
from taxiway.components.serving.versions.candidates.candidate import Trial
from taxiway.pipeline.cron import parse_schedule
from taxiway.pipeline.monitoring.verdicts import LiveMetric, write_verdict
from taxiway.pipeline.watching import run_process, triggers, watch
from taxiway.pipeline.watching.state import read_state, write_state
from tests.pipeline.monitoring.test_verdicts import FINDING, make_verdict
from tests.pipeline.watching import stand_in_run
from tests.pipeline.watching.conftest import START

MORNINGS = {"schedule": parse_schedule("0 6 * * *"), "verdicts": False}


def outcomes(watched):
    return [(ending.key, ending.outcome) for ending in watched.state.ended]


def test_each_new_span_has_its_run_in_order_with_the_live_weights(place):
    place.add_span(3, 10, 9)
    watched = place.run(events={"first_span": 4})
    assert outcomes(watched) == [("9", "live"), ("10", "live")]
    assert place.list_settings() == [["training.warm_start=live", f"data.spans={span}"] for span in (9, 10)]
    place.run()
    assert len(place.list_runs()) == 2, "nothing is doubled"
    place.add_span(11)
    place.run(warm_start=False, overrides=("training.epochs=1",))
    assert place.list_settings()[2:] == [["training.epochs=1", "data.spans=11"]]


def test_at_the_first_look_the_newest_span_is_due_where_nothing_is_live(place):
    place.add_span(1, 2)
    assert outcomes(place.run()) == [("2", "live")]


def test_a_span_that_comes_after_newer_ones_is_told_and_not_run(place):
    place.add_span(5)
    watched = place.run()
    place.add_span(4)
    watched = place.run()
    assert outcomes(watched) == [("5", "live")]
    assert triggers.list_late_spans(watched.state, watched.config, watched.request.events, START) == [4]


def test_where_all_spans_are_read_one_run_reads_all_new_ones_late_ones_too(place):
    place.write_config(spans="all")
    place.add_span(2, 3)
    place.run()
    place.add_span(1, 4, 5)
    watched = place.run()
    assert outcomes(watched) == [("3", "live"), ("5", "live")]
    assert [settings[-1] for settings in place.list_settings()] == ["data.spans=2..3", "data.spans=1..5"]


def test_a_late_span_is_read_beside_the_newer_ones(place):
    """And a run that waits for its second try is not lost by it."""
    place.write_config(spans="all")
    place.add_span(2, 4)
    place.codes = [0, 1]
    place.run()
    place.add_span(5)
    place.run()
    place.add_span(3)
    place.clock.now += 3600
    watched = place.run()
    assert [settings[-1] for settings in place.list_settings()][-2:] == ["data.spans=2..5", "data.spans=2..5"]
    assert [key for key, _ in outcomes(watched)] == ["4", "5", "5"]


def test_the_live_versions_span_is_known_also_where_its_files_are_gone(place):
    place.push("live", {"data": {"span": 5}})
    place.run()
    place.add_span(3)
    place.run()
    place.add_span(4)
    watched = place.run(events=MORNINGS)
    assert watched.state.spans == (5,) and place.list_runs() == [], "training would go back in time"
    assert triggers.list_late_spans(watched.state, watched.config, watched.request.events, START) == [3, 4]
    place.add_span(6)
    place.run(events=MORNINGS)
    (place.folder / "data/6.csv").unlink()
    place.add_span(5)
    place.clock.now += 86400
    place.run(events=MORNINGS)
    assert [settings[-1] for settings in place.list_settings()] == ["data.spans=6", "data.spans=5"]


def test_spans_whose_files_still_change_at_the_first_look_are_not_new(place):
    place.add_span(1, 2, 3)
    place.clock.now = (place.folder / "data/3.csv").stat().st_ctime + 10
    place.run(events={"settle_seconds": 60.0})
    place.clock.now += 60
    assert outcomes(place.run(events={"settle_seconds": 60.0})) == [("3", "live")]


def test_a_span_that_is_still_being_written_waits(place):
    place.add_span(1)
    place.clock.now = (place.folder / "data/1.csv").stat().st_ctime + 59
    watched = place.run(events={"settle_seconds": 60.0})
    assert not watched.state.waiting and not watched.state.ended
    assert triggers.list_spans(watched.config.data, 60.0, place.clock()) == ([], [1])
    place.clock.now += 2
    assert outcomes(place.run(events={"settle_seconds": 60.0})) == [("1", "live")]


def test_a_failed_run_is_tried_again_later_and_later_and_then_told(place):
    place.add_span(1)
    place.codes = [1, -9, 1]
    watched = place.run(retries=2)
    assert watched.state.waiting[0].attempts == 1 and watched.get_next_try() == START + 60
    place.add_span(2)
    place.clock.now += 59
    assert place.run(retries=2).state.ended == (), "the next span waits for its turn"
    place.clock.now += 1
    watched = place.run(retries=2)
    assert (watched.state.waiting[0].attempts, watched.get_next_try()) == (2, place.clock() + 120)
    place.clock.now += 120
    watched = place.run(retries=2)
    assert outcomes(watched) == [("1", "given_up"), ("2", "live")]
    [given_up, _] = watched.state.ended
    assert given_up.reason == "code 1" and given_up.attempts == 3
    assert given_up.command.endswith("data.spans=1") and any(given_up.command in line for line in place.told)


def test_a_blocked_run_is_told_and_not_tried_again(place):
    place.add_span(1)
    place.codes = [3]
    watched = place.run()
    assert outcomes(watched) == [("1", "blocked")] and place.told[-1] == "blocked: span 1: code 3"
    place.run()
    assert len(place.list_runs()) == 1


def test_data_that_cannot_be_read_now_is_tried_again_and_a_wrong_configuration_is_not(place, monkeypatch):
    place.add_span(1)
    monkeypatch.setattr(run_process, "run_child", lambda *_, to_stderr: 2)
    watched = place.run()
    assert watched.state.ended == () and watched.state.waiting[0].attempts == 1
    place.clock.now += 3600

    config = watched.request.config
    monkeypatch.setattr(run_process, "run_child", lambda *_, to_stderr: (config.write_text("nonsense: 1\n"), 2)[1])
    assert outcomes(place.run()) == [("1", "given_up")]


def test_a_timers_own_moment_is_due_at_the_first_look(place):
    place.clock.now = 2_000_000_000 // 86400 * 86400 + 6 * 3600 + 5  # some day, five seconds after six
    watched = place.run(events={**MORNINGS, "grace_seconds": 600.0})
    assert [outcome for _, outcome in outcomes(watched)] == ["live"]


def test_inputs_that_are_live_already_are_no_run(place, monkeypatch):
    place.add_span(1)
    monkeypatch.setattr(run_process, "run_child", lambda *_, to_stderr: 0)
    assert outcomes(place.run()) == [("1", "unchanged")]


def test_a_watch_that_is_told_to_end_runs_the_same_again(place):
    place.add_span(1)
    place.codes = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        place.run()
    assert read_state(place.state_folder).waiting[0].attempts == 0
    assert outcomes(place.run()) == [("1", "live")]


class Crash(BaseException):
    """In place of SIGKILL."""


@pytest.mark.parametrize("end", [Crash, KeyboardInterrupt, 1], ids=["killed", "told to end", "failed"])
def test_a_run_that_ends_otherwise_after_its_push_is_not_run_again(place, monkeypatch, end):
    """Another run would begin with the weights of the first one, and push once more for the same reason."""
    place.add_span(1)

    def run_child(folder, arguments, *, to_stderr):
        record = stand_in_run.begin(place.root.path, list(arguments))
        place.push("model", {"run_id": record.run_id})
        if end == 1:
            return stand_in_run.end(place.root.path, record, end)
        raise end

    monkeypatch.setattr(run_process, "run_child", run_child)
    with contextlib.suppress(Crash, KeyboardInterrupt):
        place.run()
    monkeypatch.setattr(run_process, "run_child", lambda *_, to_stderr: pytest.fail("it was run again"))
    watched = place.run()
    [ending] = watched.state.ended
    version = place.directory.find_live().number
    assert (ending.outcome, ending.run_id) == ("live", place.list_runs()[0].run_id)
    assert f"version {version} is live, but was not recorded" in ending.reason


def test_a_run_that_had_ended_when_its_watch_was_told_to_end_is_not_run_again(place, monkeypatch):
    place.add_span(1)
    real = run_process.run_child

    def run_child(*arguments, **named):
        real(*arguments, **named)
        raise KeyboardInterrupt

    place.codes = [3]
    monkeypatch.setattr(run_process, "run_child", run_child)
    with pytest.raises(KeyboardInterrupt):
        place.run()
    monkeypatch.setattr(run_process, "run_child", real)
    assert outcomes(place.run()) == [("1", "blocked")] and len(place.list_runs()) == 1


@pytest.mark.parametrize("code", [130, 143])
@pytest.mark.parametrize("end", [Crash, KeyboardInterrupt], ids=["killed", "a second signal"])
def test_a_run_that_was_told_to_end_is_no_try_also_where_its_watch_did_not_wait(place, monkeypatch, code, end):
    place.add_span(1)
    real, waited_for = run_process.run_child, {"running": True}

    def run_child(*arguments, **named):
        real(*arguments, **named)
        raise end

    place.codes = [code]
    monkeypatch.setattr(run_process, "run_child", run_child)
    monkeypatch.setattr(run_process, "is_running", lambda _: waited_for["running"])
    with pytest.raises(end):
        place.run(retries=0)
    waited_for["running"] = False
    monkeypatch.setattr(run_process, "run_child", real)
    watched = place.run(retries=0)
    assert outcomes(watched) == [("1", "live")] and watched.state.ended[0].attempts == 1
    assert [record.state for record in place.list_runs()] == ["interrupted", "live"]
    assert "the run for span 1 was told to end: it is run again" in place.told


def test_runs_that_end_with_their_watch_again_and_again_are_given_up(place):
    place.add_span(1)
    for number in range(watch.MAX_LOST_RUNS + 1):
        place.codes = [Crash()]
        with pytest.raises(Crash):
            waits = place.run(retries=0)  # the first one is run again at once
            assert number >= 2 and waits.get_next_try() == place.clock.now + 60 * 2 ** (number - 2)
            place.clock.now += 7 * 3600
            place.run(retries=0)
        state = read_state(place.state_folder)
        assert (state.waiting[0].attempts, state.waiting[0].lost) == (number + 1, number), "counted before it began"
    place.add_span(2)
    watched = place.run(retries=0)
    [given_up, other] = watched.state.ended
    assert (given_up.outcome, given_up.attempts, other.outcome) == ("given_up", watch.MAX_LOST_RUNS + 1, "live")
    assert "6 times" in given_up.reason and given_up.command.endswith("data.spans=1")
    assert any(given_up.command in line for line in place.told)


# ---- schedules ----


def test_moments_are_run_once_and_missed_ones_together(place):
    place.run(events=MORNINGS)
    assert place.list_runs() == [], "the watch begins now"
    place.clock.now += 86400 * 5
    watched = place.run(events=MORNINGS)
    assert [key for key, _ in outcomes(watched)] == ["2033-05-22T06:00Z"]
    place.clock.now += 3600
    place.run(events=MORNINGS)
    assert len(place.list_runs()) == 1
    place.clock.now += 86400
    assert len(place.run(events=MORNINGS).state.ended) == 2


def test_a_clock_that_was_ahead_silences_no_schedule(place):
    place.clock.now = START + 5 * 365 * 86400
    place.run(events=MORNINGS)
    place.clock.now = START
    for _ in range(4):
        place.run(events=MORNINGS)
        place.clock.now += 86400
    assert len(place.list_runs()) == 3


def test_another_schedule_begins_anew(place):
    place.run(events=MORNINGS)
    place.clock.now += 86400 * 5
    other = {**MORNINGS, "schedule": parse_schedule("0 6 * * *", "Asia/Kolkata")}
    assert place.run(events=other).state.ended == ()


def test_a_schedule_reads_the_newest_span_that_has_had_its_turn(place):
    place.add_span(1)
    place.run(events=MORNINGS)
    place.clock.now += 86400
    place.run(events=MORNINGS)
    assert [settings[-1] for settings in place.list_settings()] == ["data.spans=1", "data.spans=1"]


# ---- verdicts ----


@pytest.fixture
def live(place, monkeypatch):
    numbers = {"live": 7}
    monkeypatch.setattr(triggers, "find_live_number", lambda *_: numbers["live"])
    place.write_config(path="data.csv")
    return numbers


def add_verdict(place, version, end, status="wrong", **changes):
    findings = [FINDING] if status == "wrong" else []
    verdict = make_verdict(version, end, **{"status": status, "findings": findings, "model": "trips", **changes})
    write_verdict(place.root, verdict)


def test_bad_verdicts_on_the_live_version_start_one_run(place, live):
    for version, end, status in ((7, 1e9, "wrong"), (7, 1.5e9, "right"), (7, 2e9, "wrong"), (6, 3e9, "wrong")):
        add_verdict(place, version, end, status)
    watched = place.run()
    [ending] = watched.state.ended
    assert ending.key.startswith("20330518T033320Z-7") and FINDING.text in ending.text
    place.run()
    assert len(place.list_runs()) == 1
    add_verdict(place, 7, 2e9 + 60)
    place.run()
    assert len(place.list_runs()) == 2, "the next window"
    add_verdict(place, 7, 2e9 + 120)
    add_verdict(place, 7, 2e9 + 180, "right")
    place.run()
    assert len(place.list_runs()) == 2, "it is well again"


def test_labels_that_come_late_start_a_run_though_newer_windows_without_labels_are_right(place, live):
    metric = LiveMetric(metric="auc", promised=0.9, live=0.7, rows=400, is_worse=True)
    worse = FINDING.model_copy(update={"kind": "metric", "column": "", "text": "auc: 0.7, promised 0.9"})
    add_verdict(place, 7, 2e9, "right")
    add_verdict(place, 7, 1.9e9)
    place.run()
    assert place.list_runs() == [], "columns that a newer window has right"
    for number in range(2):  # the second one is worse again
        add_verdict(place, 7, 1.8e9 + number, created=2.1e9, performance=[metric], findings=[FINDING, worse])
        watched = place.run()
        place.run()
        assert len(place.list_runs()) == number + 1
    assert watched.state.ended[-1].key.startswith("20270115T080001Z-7")
    add_verdict(place, 7, 1.85e9, "right", performance=[metric.model_copy(update={"is_worse": False})])
    add_verdict(place, 7, 1.84e9, performance=[metric], findings=[worse])
    place.run()
    assert len(place.list_runs()) == 2, "newer labels say that it is well again"


def test_a_verdict_on_a_model_of_these_very_rows_asks_for_others(place, live, monkeypatch):
    add_verdict(place, 7, 2e9)
    monkeypatch.setattr(run_process, "run_child", lambda *_, to_stderr: 0)
    watched = place.run()
    [*_, ending] = watched.state.ended
    assert (ending.kind, ending.outcome) == ("verdict", "given_up") and "put rows in place" in ending.reason


def test_a_verdict_on_a_version_that_is_gone_starts_nothing(place, live):
    place.codes = [1]
    add_verdict(place, 7, 1e9)
    place.run()
    live["live"], place.clock.now = 8, START + 1000
    assert outcomes(place.run())[0][1] == "superseded"
    assert len(place.list_runs()) == 1


def test_a_verdict_of_an_experiment_is_passed_over_and_told_once(place, live):
    add_verdict(place, 7, 1e9)
    place.run()
    add_verdict(place, 7, 2e9, options=["--set min_rows=5"], standing=False)
    for _ in range(2):
        place.run()
    assert len(place.list_runs()) == 1
    [told] = [line for line in place.told if line.startswith("passed over")]
    assert "-7-" in told and "made with --set min_rows=5" in told and "--standing" in told
    add_verdict(place, 7, 3e9, options=["--log /var/log/tfserving"], standing=True)
    place.run()
    assert len(place.list_runs()) == 2
    add_verdict(place, 7, 4e9)
    add_verdict(place, 7, 5e9, "right", options=["--set skew.infinity_norm=0.9"], standing=False)
    place.run()
    assert len(place.list_runs()) == 3, "an experiment does not make it well either"


def test_while_a_candidate_is_tried_bad_verdicts_on_the_live_version_wait(place):
    place.write_config(path="data.csv")
    live = place.push("live")
    place.push("candidate", trial=Trial("canary", (0.5,)))
    add_verdict(place, live, 2e9)
    assert place.run().state.waiting == () and place.list_runs() == []
    changes.withdraw_candidate(place.directory, reason="wrong too")
    watched = place.run()
    assert [ending.outcome for ending in watched.state.ended] == ["live"]

    place.codes = [1]
    add_verdict(place, live, 3e9)
    place.run()
    place.push("second candidate", trial=Trial("canary", (0.5,)))
    place.clock.now += 3600
    watched = place.run()
    assert watched.state.waiting == () and len(watched.state.ended) == 1 and len(place.list_runs()) == 2
    assert "put aside: " in place.told[-1] and "is tried in its place" in place.told[-1]
    place.run()
    assert len(place.list_runs()) == 2, "and it still waits"
    changes.withdraw_candidate(place.directory, reason="wrong too")
    watched = place.run()
    assert [(ending.kind, ending.outcome) for ending in watched.state.ended] == [("verdict", "live")] * 2
    assert len(place.list_runs()) == 3
    place.run()
    assert len(place.list_runs()) == 3


@pytest.mark.parametrize("end", ["live", "right"])
def test_a_verdict_that_was_put_aside_for_a_candidate_asks_for_nothing_once_it_is_answered(place, end):
    place.write_config(path="data.csv")
    live = place.push("live")
    place.codes = [1]
    add_verdict(place, live, 2e9)
    place.run()
    place.push("candidate", trial=Trial("canary", (0.5,)))
    place.clock.now += 3600
    place.run()
    if end == "live":
        changes.promote_candidate(place.directory)
    else:
        add_verdict(place, live, 2e9 + 60, "right")
        changes.withdraw_candidate(place.directory)
    watched = place.run()
    assert watched.state.waiting == watched.state.ended == () and len(place.list_runs()) == 1


# ---- exactly once ----


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_before_or_after_any_step_neither_loses_nor_doubles(place, monkeypatch, after):
    """The watch dies at its first, second, ... write and at each run, and is started again, until all is done."""
    place.add_span(1, 2, 3)
    real_write, real_run, steps = write_state, run_process.run_child, {"left": 0, "done": 0}

    def crashing(work):
        def step(*arguments, **named):
            steps["left"] -= 1
            if steps["left"] == 0 and not after:
                raise Crash
            result = work(*arguments, **named)
            if steps["left"] == 0:
                raise Crash
            return result

        return step

    monkeypatch.setattr(watch, "write_state", crashing(real_write))
    monkeypatch.setattr(run_process, "run_child", crashing(real_run))
    for crash_at in range(1, 40):
        steps["left"] = crash_at % 6 + 1
        try:
            watched = place.run(events={"first_span": 1})
        except Crash:
            steps["done"] += 1
    assert steps["done"] >= 3
    assert outcomes(watched) == [("1", "live"), ("2", "live"), ("3", "live")]
    assert [settings[-1] for settings in place.list_settings()] == [f"data.spans={span}" for span in (1, 2, 3)]


# ---- refusals ----


def test_a_watch_that_could_never_run_is_refused(place):
    place.write_config(path="data.csv")
    with pytest.raises(UsageError, match="Nothing would ever start a run"):
        place.open_watch(events={"verdicts": False})
    with pytest.raises(UsageError, match="--from-span 3"):
        place.open_watch(events={"first_span": 3})
    place.write_config(spans="3..7")
    with pytest.raises(UsageError, match="no new span is read"):
        place.open_watch(events={"verdicts": False})


@pytest.mark.parametrize("content", ["{", '{"version": 2}', '{"version": 1, "waiting": [{}]}'])
def test_a_damaged_state_is_named_and_its_remedy_works(place, content):
    place.add_span(1)
    place.run()
    file = place.state_folder / "state.json"
    file.write_text(content)
    with pytest.raises(StoreError, match=r"state\.json"):
        place.open_watch()
    file.unlink()
    place.run()


def test_the_state_cannot_be_written(place, monkeypatch):
    place.root.path.mkdir()
    (place.root.path / "watch").write_text("no folder")
    place.add_span(1)
    with pytest.raises(StoreError):
        place.run()


def test_once_ends_with_the_first_code_that_is_not_0(place):
    place.add_span(1, 2, 3)
    place.codes = [0, 3, 1]
    code, results = watch.watch_once(place.make_request(events={"first_span": 1}), place.told.append)
    assert code == 3 and [each.key for each in results] == ["1", "2", "3"]
    code, results = watch.watch_once(place.make_request(), place.told.append)
    assert (code, results) == (0, []), "the failed one waits for its time"


def test_what_cannot_be_looked_at_is_told_once_and_looked_at_again(place):
    place.add_span(1)
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt
        good = place.config.read_text()
        place.config.write_text("name: 3" if len(looks) == 1 else good)

    with pytest.raises(KeyboardInterrupt):
        watch.watch_forever(place.make_request(), place.told.append, 5.0, sleep)
    assert sum(line.startswith("cannot look") for line in place.told) == 1
    assert json.loads((place.state_folder / "state.json").read_text())["ended"][0]["key"] == "1"
