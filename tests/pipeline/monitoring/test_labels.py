"""Labels and logged rows find each other by what ids are: texts as they are written, numbers as numbers."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxiway.components.errors import DataError
from taxiway.components.monitoring.window import RequestWindow
from taxiway.components.saved_models.training_reference import ReferenceScores
from taxiway.components.tables.reading_rules import ReadingRules
from taxiway.pipeline.monitoring.label_values import LabelParser
from taxiway.pipeline.monitoring.labels import JoinedLabels, join_labels

RULES = ReadingRules(format="csv", kinds={"fare": "float", "when": "time:s"}, label="tip")
TEXTS, INTS, FLOATS = pa.large_binary(), pa.int64(), pa.float32()


def make_scores(*classes: str) -> ReferenceScores:
    return ReferenceScores(label="tip", task="binary", classes=classes, output="p", split="eval", scores=((0.5,),))


def make_window(kind: pa.DataType, *values: Any, name: str = "id") -> RequestWindow:
    column = pa.array([None if value is None else [value] for value in values], pa.large_list(kind))
    return RequestWindow({name: column}, None, len(values), 1)


def join(
    file: Path, window: RequestWindow, scores: ReferenceScores | None = None, rules: ReadingRules | None = RULES
) -> JoinedLabels:
    return join_labels(file, list(window.columns), rules, scores or make_scores("0", "1"), window)


def write(folder: Path, content: str, name: str = "labels.csv") -> Path:
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


def list_pairs(joined: JoinedLabels) -> list[tuple[int, float]]:
    return list(zip(joined.rows.tolist(), joined.labels.tolist(), strict=True))


def test_texts_that_spell_one_number_stay_two_ids(tmp_path: Path) -> None:
    file = write(tmp_path, "id,tip\n0012,1\n12,0\n")
    joined = join(file, make_window(TEXTS, b"12", b"0012"))
    assert list_pairs(joined) == [(0, 0.0), (1, 1.0)] and joined.notes == ()
    joined = join(file, make_window(INTS, 12, 13))
    assert list_pairs(joined) == [(0, 0.0)]  # 0012 is a name, and no number of this log
    assert joined.counts["not logged"] == 1


def test_what_finds_no_row_is_said_with_examples_of_both_sides(tmp_path: Path) -> None:
    file = write(tmp_path, "id,tip\n0012,1\n0013,0\n0014,0\n")
    joined = join(file, make_window(INTS, 12, 13, 14, 15))
    assert joined.counts["joined"] == 0
    assert joined.notes == (
        "0 of 3 labels were joined to 4 logged rows (ids of the file without a row: '0012', '0013'; ids of the log "
        "without a label: 12, 13)",
    )


def test_a_history_of_labels_whose_newest_fill_the_window_is_no_trouble(tmp_path: Path) -> None:
    file = write(tmp_path, "id,tip\n" + "".join(f"{n},1\n" for n in range(500)))
    joined = join(file, make_window(INTS, 497, 498, 499))
    assert joined.counts["joined"] == 3 and joined.notes == ()
    joined = join(write(tmp_path, "id,tip\n"), make_window(INTS, 497))
    assert joined.notes == ("0 of 0 labels were joined to 1 logged rows (ids of the log without a label: 497)",)


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.float64(), pa.string(), pa.decimal128(12, 2)])
@pytest.mark.parametrize("logged", [TEXTS, INTS, FLOATS])
def test_the_types_of_a_typed_file_are_numbers_or_texts(tmp_path: Path, kind: pa.DataType, logged: pa.DataType) -> None:
    spelled = pa.types.is_string(kind)
    table = pa.table({"id": pa.array([str(n) if spelled else n for n in (7, 40)], kind), "tip": ["1", "0"]})
    pq.write_table(table, tmp_path / "labels.parquet")
    window = make_window(logged, *([b"40", b"7"] if logged == TEXTS else [40, 7]))
    assert list_pairs(join(tmp_path / "labels.parquet", window)) == [(0, 0.0), (1, 1.0)]


def test_json_keeps_texts_and_numbers_apart(tmp_path: Path) -> None:
    lines = '{"id": "012", "tip": true}\n{"id": "12", "tip": false}\n'
    joined = join(write(tmp_path, lines, "labels.jsonl"), make_window(TEXTS, b"012", b"12"))
    assert list_pairs(joined) == [(0, 1.0), (1, 0.0)]


def test_large_numbers_stay_exact(tmp_path: Path) -> None:
    numbers = [2**53 + 1, 2**53 + 2, 2**62 + 1]
    file = write(tmp_path, "id,tip\n" + "".join(f"{n},{n % 2}\n" for n in numbers))
    assert list_pairs(join(file, make_window(INTS, *numbers))) == [(0, 1.0), (1, 0.0), (2, 1.0)]


def test_columns_that_training_knew_are_read_as_it_read_them(tmp_path: Path) -> None:
    file = write(tmp_path, "fare,tip\n7.850,1\n0012,0\n")
    assert list_pairs(join(file, make_window(FLOATS, 12.0, 7.85, name="fare"))) == [(0, 0.0), (1, 1.0)]


def test_times_with_zones_are_moments_as_in_training(tmp_path: Path) -> None:
    noon = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    table = pa.table({"when": pa.array([noon], pa.timestamp("us", "Europe/Paris")), "tip": [1]})
    pq.write_table(table, tmp_path / "labels.parquet")
    window = make_window(INTS, int(noon.timestamp()), name="when")
    assert list_pairs(join(tmp_path / "labels.parquet", window)) == [(0, 1.0)]


def test_an_id_with_two_labels_joins_nothing_and_is_said(tmp_path: Path) -> None:
    file = write(tmp_path, "id,tip\na,no\nb,yes\nb,yes\na,yes\na,no\nc,no\n,no\nd,\n")
    joined = join(file, make_window(TEXTS, b"a", b"b", b"c", b"c", None), make_scores("no", "yes"))
    assert list_pairs(joined) == [(1, 1.0)]
    assert joined.counts == {
        "rows": 5, "asked again": 2, "rows without key": 1, "labels": 8, "without key": 1, "without label": 1,
        "repeated": 1, "contradicted": 1, "not logged": 1, "joined": 1,
    }  # fmt: skip
    assert joined.notes[0] == "1 ids of the file have different labels ('a': no and yes): none of their rows is joined"


def test_classes_are_what_they_are_called(tmp_path: Path) -> None:
    parse = LabelParser(make_scores("01", "1"), tmp_path).parse_label
    assert (parse("01"), parse("1"), parse(1), parse(b"01"), parse(None), parse(float("nan"))) == (
        0,
        1,
        1,
        0,
        None,
        None,
    )
    with pytest.raises(DataError, match=r"'1.0' is no class.*\n.*01, 1"):
        parse("1.0")  # both are that number
    parse = LabelParser(make_scores(), tmp_path).parse_label
    assert (parse("1.0"), parse(0.0), parse(True), parse("false")) == (1, 0, 1, 0)


def test_a_regressions_label_is_finite(tmp_path: Path) -> None:
    scores = make_scores().model_copy(update={"task": "regression"})
    parse = LabelParser(scores, tmp_path / "labels.csv").parse_label
    assert (parse("1e3"), parse(2), parse("")) == (1000.0, 2.0, None)
    for bad in ("inf", "many", [1]):
        with pytest.raises(DataError, match="is no number"):
            parse(bad)
