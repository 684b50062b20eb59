"""Names and values that a terminal, rich, HTML, plotly or Graphviz would obey, through everything that shows them."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.tables.readers.bad_rows import BadRows
from taxiway.pipeline.console import printing, progress, run_tables, summary
from taxiway.pipeline.lineage import LineageGraph
from taxiway.pipeline.lineage.nodes import Edge, Node
from taxiway.pipeline.lineage.steps import LineageStep
from taxiway.pipeline.lineage.views import dot, page, text
from taxiway.pipeline.lineage.why import VersionExplanation
from taxiway.pipeline.report import charts
from taxiway.pipeline.scaffold import init
from taxiway.pipeline.scaffold.profile import ColumnProfile, LabelProfile, TableProfile
from taxiway.pipeline.serving import versions
from taxiway.pipeline.tracking.run_record import GateRecord, MetricValues, NodeRecord, RunRecord, VariantRecord

HOSTILE = "\x1b]0;owned\x07\u202e[red]:car:<b>x</b><a href='javascript:1'>$ink</a>\u2028[/]"
OBEYED = ("\x1b", "\x07", "\u202e", "\u2028")
SHOWN = r"\x1b]0;owned"


def printed(part, console=Console, **settings):
    made = console(file=io.StringIO(), width=400, force_terminal=True, color_system="truecolor", **settings)
    made.print(part)
    return made.file.getvalue()


def without_colours(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def check_terminal(text):
    plain = without_colours(text)
    assert not [c for c in OBEYED if c in plain]
    assert SHOWN in plain
    assert "[red]" in plain


def record():
    values = MetricValues(slice=HOSTILE, rows=3, candidate={"auc": 0.5, HOSTILE: 0.1}, baseline={}, classes={})
    overall = values.model_copy(update={"slice": "Overall", "classes": {HOSTILE: {"recall": 0.5}}})
    return RunRecord(
        run_id="r",
        state="failed",
        started=1.0,
        reason=HOSTILE,
        nodes=(NodeRecord(node="Trainer", state="failed", seconds=1.0, reason=HOSTILE),),
        gates=(
            GateRecord(gate="DataGate", passed=True, numbers={HOSTILE: {HOSTILE: HOSTILE}}),
            GateRecord(gate="Evaluator", passed=False, reason=HOSTILE),
        ),
        metrics={"Evaluator": (overall, values)},
        variants=(VariantRecord(variant="frozen", status="failed", reason=HOSTILE),),
        main_metric="auc",
    )


@pytest.mark.parametrize("console", [Console, printing.SafeConsole])
def test_the_summary(console):
    check_terminal(printed(summary.render_run(record(), {}), console))


def test_the_list_of_runs():
    check_terminal(printed(run_tables.make_runs_table([record()])))


@pytest.mark.parametrize("kind", [progress.PlainDisplay, progress.LiveDisplay])
def test_the_display(kind):
    console = printing.SafeConsole(file=io.StringIO(), width=400, force_terminal=True, color_system=None)
    shown = kind(console)
    shown.start_node("Trainer")
    shown.show_message("Trainer", HOSTILE, 0.5)
    shown.print_line(HOSTILE)
    shown.end_node(NodeRecord(node="Trainer", state="failed", seconds=1.0, reason=HOSTILE))
    shown.close()
    text = console.file.getvalue()
    assert "\x1b]0" not in text
    assert not [c for c in OBEYED[1:] if c in text]
    assert text.count(SHOWN) >= 2


def test_a_console_shows_whatever_it_is_given():
    text = printed(printing.make_table("", ("a",), [(HOSTILE.replace("[", "("),)]), printing.SafeConsole)
    assert not [c for c in OBEYED if c in without_colours(text)]
    assert ":car:" in text, "no pictures for words"


def test_predictions():
    scored = versions.PredictResult([{"classes": HOSTILE, HOSTILE: 1.0}], 1, "serving_raw", [HOSTILE])
    check_terminal(printed(versions.make_answers_table(scored)))


def graph():
    node = Node(HOSTILE, "version", HOSTILE, type=HOSTILE, uri=HOSTILE, run=HOSTILE, properties={HOSTILE: HOSTILE})
    other = Node("artifact:8", "artifact", "Model", type="Model", state="LIVE")
    return LineageGraph([node, other], [Edge(HOSTILE, "artifact:8", HOSTILE)], [HOSTILE])


def test_lineage_on_a_terminal():
    step = LineageStep("Trainer", HOSTILE, "COMPLETE", 1.0, 1.0, 5, {HOSTILE: HOSTILE}, (HOSTILE,))
    check_terminal(printed(text.render_tree(graph(), [step], downstream=True)))
    check_terminal(printed(text.format_explanation(VersionExplanation(HOSTILE, HOSTILE, {HOSTILE: HOSTILE}))))


def test_lineage_as_dot():
    drawn = dot.render_dot(graph())
    assert not [c for c in OBEYED if c in drawn]


def test_lineage_as_a_page():
    html = page.render_page(graph())
    assert not [c for c in OBEYED if c in html]
    assert "<b>x</b>" not in html


def test_charts_take_names_for_text():
    rows = [{"slice": name, "candidate": 0.5, "baseline": 0.4} for name in ("Overall", HOSTILE, "$ink")]
    point = {"name": HOSTILE, "p50": 1.0, "quality": 0.5, "size": 1, "words": "", "limits": None}
    point |= {"faster": 1.0, "faster_limits": (0.9, 1.1)}
    points = [{**point, "chosen": True, "front": True}]
    figures = [
        charts.draw_slices(HOSTILE, rows),
        charts.draw_lines(HOSTILE, [1], {HOSTILE: [1.0]}, HOSTILE, HOSTILE),
        charts.draw_bars(HOSTILE, [HOSTILE, "$ink"], {HOSTILE: [1.0, 2.0]}, HOSTILE, HOSTILE),
        *charts.draw_variants(points, HOSTILE, HOSTILE, 1),
    ]
    for figure in figures:
        known = json.dumps(figure, ensure_ascii=False)
        assert not [c for c in (*OBEYED, "<b>", "<a ") if c in known]
        assert not re.search(r'"(?!color": )[a-z]+": (\[[^]]*)?"\$', known), "colours stand under `color` alone"


def test_init_shows_columns(capsys):
    column = ColumnProfile(name=HOSTILE, kind="string", rows=10, missing=0, distinct=3)
    label = LabelProfile(LabelConfig(column="y", task="binary", classes=("0", "1")), missing=0)
    data = DataConfig(path="rows.csv")
    profile = TableProfile(10, 10, {HOSTILE: column}, label, BadRows(), {HOSTILE: HOSTILE}, (HOSTILE,), data)
    proposal = init.Proposal({"features.leave_out": {HOSTILE: HOSTILE}}, {"label.positive": [HOSTILE]})
    proposal.add_finding("data.csv.null_values", HOSTILE)
    init.print_summary(init.WrittenConfig(Path("f.yaml"), "", profile, proposal))
    out = capsys.readouterr().out
    assert not [c for c in OBEYED if c in out]
    assert SHOWN in out.replace("\n", "").replace(" ", "")


def test_errors_are_shown(capsys):
    from taxiway.pipeline import cli

    cli.print_error(HOSTILE)
    err = capsys.readouterr().err
    assert not [c for c in OBEYED if c in err]
    assert "[red]" in err
