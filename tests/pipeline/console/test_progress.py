"""The display: lines, the live line on a terminal, noise into the log."""

import io
import json
import os
import subprocess
import sys

import pytest
from rich.console import Console

from taxiway.pipeline.console import progress
from taxiway.pipeline.tracking.run_record import BLOCKS, NodeRecord


def console(terminal=False):
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)


def printed(made):
    return made.file.getvalue()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (NodeRecord(node="Trainer", state="done", seconds=12.34), ["✓", "Trainer", "12 s"]),
        (NodeRecord(node="Trainer", state="cached", seconds=0.1), ["=", "cached"]),
        (NodeRecord(node="Pusher", state="skipped", reason="DataGate blocked"), ["–", "skipped: DataGate blocked"]),
        (NodeRecord(node="Trainer", state="failed", seconds=1.0, reason="it broke [here]"), ["✗", "it broke [here]"]),
        (NodeRecord(node="DataGate", state="done", seconds=0.1, reason=f"{BLOCKS}too few"), ["!", "blocks: too few"]),
    ],
)
def test_a_node_in_one_line(record, words):
    made = console()
    progress.PlainDisplay(made).end_node(record)
    [line] = printed(made).splitlines()
    assert all(word in line for word in words)


def test_plain_messages_come_rarely():
    now = [0.0]
    made = console()
    shown = progress.PlainDisplay(made, clock=lambda: now[0])
    shown.start_node("Trainer")
    for now[0] in (1.0, 14.0, 16.0, 17.0, 40.0):
        shown.show_message("Trainer", f"at {now[0]:g}", None)
    assert printed(made).splitlines() == ["  Trainer: at 16", "  Trainer: at 40"]


def test_the_live_line_leaves_the_standard_streams_alone():
    before = (sys.stdout, sys.stderr)
    made = console(terminal=True)
    shown = progress.LiveDisplay(made)
    shown.start_node("Trainer")
    shown.show_message("Trainer", "step 5 [bold]", 0.5)
    shown.show_message("Other", "not running", 0.5)
    assert (sys.stdout, sys.stderr) == before
    shown.end_node(NodeRecord(node="Trainer", state="done", seconds=3.0))
    shown.close()
    assert "✓ Trainer" in printed(made)
    assert "not running" not in printed(made)


def test_nodes_that_run_together_have_a_line_each():
    made = console(terminal=True)
    shown = progress.LiveDisplay(made)
    shown.start_node(progress.BEFORE_NODES)
    for _ in range(2):
        shown.end_step(progress.BEFORE_NODES)
    for node in ("OptimizedEvaluator", "ServingValidator"):
        shown.start_node(node)
    assert set(shown._tasks) == {"OptimizedEvaluator", "ServingValidator"}
    shown.show_message("OptimizedEvaluator", "half", 0.5)
    shown.end_node(NodeRecord(node="ServingValidator", state="done", seconds=3.0))
    assert [task.description for task in shown._progress.tasks] == ["half"]
    shown.close()
    assert "✓ ServingValidator" in printed(made)


def test_a_terminal_gets_the_live_display():
    assert isinstance(progress.make_display(console()), progress.PlainDisplay)
    live = progress.make_display(console(terminal=True))
    live.close()
    assert isinstance(live, progress.LiveDisplay)


def test_everything_printed_goes_into_the_log(tmp_path, capfd):
    log = tmp_path / "log.txt"
    with progress.redirect_output(log) as made:
        print("python")
        os.write(1, b"descriptor 1\n")
        os.write(2, b"descriptor 2\n")
        subprocess.run([sys.executable, "-c", "print('child')"], check=True, timeout=30)
        made.print("for the user")
    print("after")
    assert capfd.readouterr().out == "for the user\nafter\n"
    assert set(log.read_text().splitlines()) == {"python", "descriptor 1", "descriptor 2", "child"}


def test_a_reader_that_left_does_not_end_a_run(tmp_path):
    code = (
        "import sys; from pathlib import Path; from taxiway.pipeline.console import progress\n"
        "with progress.redirect_output(Path(sys.argv[1])) as made:\n"
        "    for number in range(2000): made.print(number)\n"
        "Path(sys.argv[1]).write_text('whole')\n"
    )
    read, write = os.pipe()
    os.close(read)
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log.txt")], stdout=write, timeout=120, check=False
    )
    os.close(write)
    assert child.returncode == 0
    assert (tmp_path / "log.txt").read_text() == "whole"


def test_the_streams_come_back_after_an_error(tmp_path, capfd):
    with pytest.raises(ValueError, match="inside"), progress.redirect_output(tmp_path / "log.txt", stderr=True):
        raise ValueError("inside")
    os.write(1, b"back\n")
    assert capfd.readouterr().out == "back\n"


def test_progress_is_followed_in_whole_lines(tmp_path):
    path, seen = tmp_path / "progress.jsonl", []
    follower = progress.ProgressFollower(path, lambda *entry: seen.append(entry))
    follower.show_new_lines()
    line = json.dumps({"time": 1, "component": "Trainer", "message": "half", "fraction": 0.5}) + "\n"
    path.write_text(line[:10])
    follower.show_new_lines()
    assert seen == []
    path.write_text(line + "{torn}\n" + line.replace("half", "more"))
    follower.show_new_lines()
    assert seen == [("Trainer", "half", 0.5), ("Trainer", "more", 0.5)]
