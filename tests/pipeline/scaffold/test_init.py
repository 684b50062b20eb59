"""What `taxiway init` proposes: reasons, thresholds, and a file that loads again. No tfx, no TensorFlow."""

import csv
import datetime
import io
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from taxiway.components.errors import DataError, TaxiwayError, UsageError
from taxiway.pipeline import config as configuration
from taxiway.pipeline.scaffold import column_scores, csv_dialect
from taxiway.pipeline.scaffold import init as initialization
from tests.components.example_gen.rows import write

TAXI = "package://tfx/examples/chicago_taxi_pipeline/data"
ROWS = 600


def table():
    rng = random.Random(3)
    amount = [rng.gauss(10, 3) for _ in range(ROWS)]
    kind = [rng.choice("abc") for _ in range(ROWS)]
    label = ["yes" if a + (k == "a") * 4 + rng.gauss(0, 2) > 12 else "no" for a, k in zip(amount, kind, strict=True)]
    return {
        "Größe (USD)": [round(a, 2) for a in amount],
        "kind": kind,
        "id": [f"u{i}" for i in range(ROWS)],
        "row": list(range(ROWS)),
        "same": ["x"] * ROWS,
        "empty": [None] * ROWS,
        "when": [f"2020-{1 + i % 12:02d}-{1 + i % 28:02d}T{i % 24:02d}:00:00" for i in range(ROWS)],
        "day": [f"{1 + i % 28:02d}.{1 + i % 12:02d}.2021" for i in range(ROWS)],
        "zip code": [10000 + rng.randrange(40) for _ in range(ROWS)],
        "verdict": [{"yes": 1, "no": 0}[v] for v in label],
        "holes": [None if i % 4 == 0 else i % 5 for i in range(ROWS)],
        "bought": label,
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("init")
    write(folder / "odd.csv", table())
    written = initialization.create_config(str(folder / "odd.csv"), "bought", file=folder / "odd.yaml")
    return written, configuration.load_config(written.file)


def test_reasons(made):
    _, config = made
    left_out = config.features.leave_out
    assert set(left_out) == {"id", "row", "same", "verdict"}
    assert "600 different texts in 600 rows" in left_out["id"]
    assert left_out["row"] == "identifier: a different number in every row"
    assert left_out["same"].startswith("constant")
    assert left_out["verdict"].startswith("gives the label away: AUC 1.000")
    assert config.data.leave_out == ("empty",)
    assert config.features.categorical == ("zip code",)


def test_times_label_and_thresholds(made):
    written, config = made
    assert config.data.types == {"when": "time", "day": "time:%d.%m.%Y"}
    assert config.features.calendar == {"when": ("month", "weekday", "hour"), "day": ("month", "weekday")}
    assert config.label.task == "binary" and config.label.classes == ("no", "yes") and config.label.positive == "yes"
    bar = config.evaluation.thresholds["auc"].min
    best = max(c.alone for c in written.profile.columns.values() if c.name not in config.features.leave_out)
    assert 0.5 < bar < best
    assert config.evaluation.slices == (("kind",),)


def test_the_text_has_every_key_and_the_findings(made):
    written, config = made
    content = yaml.safe_load(written.text)

    def compare(given, whole, path=""):
        for key, value in whole.items():
            assert key in given, f"{path}{key} is not written"
            if isinstance(value, dict) and isinstance(given[key], dict) and not path.count("."):
                compare(given[key], value, f"{path}{key}.")

    compare(content, config.model_dump(mode="json"))
    assert "# -> 600 rows, 12 columns" in written.text
    assert "# -> missing values: holes 25%" in written.text
    assert max(map(len, written.text.split("\n"))) < 400


def test_examples_of_the_proposal_are_made(made, tmp_path):
    from taxiway.components.example_gen.ingest import ingest_data
    from tests.components.example_gen.rows import read_all

    _, config = made
    done = ingest_data(config.data, config.label, str(tmp_path))
    assert sum(done.rows[split] for split in ("train", "eval", "test")) == ROWS
    row = read_all(tmp_path)[0]
    assert {"when", "day", "Größe (USD)"} <= set(row) and "empty" not in row


@pytest.mark.parametrize(
    ("path", "label", "task", "left_out"),
    [
        (f"{TAXI}/big_tipper_label/data.csv", "big_tipper", "binary", {"tips"}),
        (f"{TAXI}/simple/data.csv", "tips > 0.2 * fare", "binary", {"tips"}),
        ("package://plotly/package_data/datasets/iris.csv.gz", "species", "multiclass", {"species_id"}),
        ("package://plotly/package_data/datasets/gapminder.csv.gz", "lifeExp", "regression", set()),
        ("package://sklearn/datasets/data/digits.csv.gz", "column_64", "multiclass", {"column_00"}),
        ("package://sklearn/datasets/data/iris.csv", "virginica", "multiclass", set()),
    ],
)
def test_tables_that_installed_packages_ship(path, label, task, left_out, tmp_path):
    written = initialization.create_config(path, label, file=tmp_path / "c.yaml")
    config = configuration.load_config(written.file)
    assert config.label.task == task
    assert left_out <= set(config.features.leave_out)
    assert "fare" not in config.features.leave_out
    assert config.evaluation.thresholds


def test_the_taxi_label_by_expression_has_its_bar(tmp_path):
    written = initialization.create_config(f"{TAXI}/simple/data.csv", "tips > 0.2 * fare", file=tmp_path / "c.yaml")
    assert "payment_type alone reaches AUC" in written.text
    assert configuration.load_config(written.file).name == "simple"


def test_dialects(tmp_path):
    (tmp_path / "a.csv").write_bytes("größe;y\n1,5;ja\n2,5;nein\n".encode("latin-1") * 20)
    (tmp_path / "b.csv").write_text("1|2|0\n3|4|1\n" * 20)
    first = initialization.detect_data_config(str(tmp_path / "a.csv"))[0].csv
    assert (first.delimiter, first.encoding) == (";", "cp1252")
    second = initialization.detect_data_config(str(tmp_path / "b.csv"))[0].csv
    assert (second.delimiter, second.header, second.names) == ("|", False, ("column_0", "column_1", "column_2"))


def test_typed_columns_and_lists(tmp_path):
    import datetime

    when = [datetime.datetime(2020, 1, 1 + i % 28, i % 24) for i in range(100)]
    tags = [["a", "b"] if i % 2 else [] for i in range(100)]
    target = [i % 7 + (i % 24) * 0.5 for i in range(100)]
    pq.write_table(pa.table({"when": when, "tags": tags, "y": target}), tmp_path / "t.parquet")
    config = configuration.load_config(
        initialization.create_config(str(tmp_path / "t.parquet"), "y", file=tmp_path / "c.yaml").file
    )
    assert config.label.task == "regression" and config.data.leave_out == ("tags",)
    assert config.features.calendar == {"when": ("weekday", "hour")} and not config.data.types
    assert config.evaluation.thresholds["rmse"].max is not None


def test_paths_and_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "deep" / "my trips.csv", {"x": [1, 2] * 30, "y": [0, 1] * 30})
    written = initialization.create_config("deep/my trips.csv", "y")
    assert written.file == Path("my_trips", "my_trips.yaml")
    assert configuration.load_config(written.file).data.path == str(tmp_path / "deep" / "my trips.csv")
    with pytest.raises(UsageError, match="exists already"):
        initialization.create_config("deep/my trips.csv", "y")
    inside = initialization.create_config("deep/my trips.csv", "y", file=Path("c.yaml"))
    assert "path: deep/my trips.csv" in inside.text
    assert initialization.derive_model_name("d/{SPAN}/*.csv") == "d"
    assert initialization.derive_model_name("/a/2024-01/data.csv") == "model_2024-01"


@pytest.mark.parametrize(
    ("content", "label", "words"),
    [
        ("x,y\n1,0\n2,1\n", "z", r"label\.column is 'z'"),
        ("x,y\n1,0\n2,1\n", "z > 1", "reads 'z'"),
        ("x,y\n1,0\n2,0\n", "y", "only one class"),
        ("", "y", "is empty"),
        ("x,y\n" + "1,2,3\n" * 9, "y", "cannot be read"),
        pytest.param("x,y\n" + "a\0,0\nb,1\nc,0\n" * 40, "y", "40 rows cannot be read", id="NUL"),
        ("x,y\n" + "1,0\n1,1\n" * 40, "y", r"No column is left to learn from: x: constant"),
    ],
)
def test_refused(content, label, words, tmp_path):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError, match=words):
        initialization.create_config(str(tmp_path / "t.csv"), label, file=tmp_path / "c.yaml")
    assert not (tmp_path / "c.yaml").exists()


def test_a_name_that_no_file_has():
    with pytest.raises(UsageError, match="NUL"):
        initialization.create_config("a\0b.csv", "y")


def test_where_only_identifiers_are_left_they_stay(tmp_path):
    chance = random.Random(0)
    rows = "".join(f"{n},{chance.choice('ab')}\n" for n in range(100))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}")
    made = initialization.create_config(str(tmp_path / "t.csv"), "y", file=tmp_path / "c.yaml")
    assert "x" not in made.proposal.settings.get("features.leave_out", {})


NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).map(str.strip)
VALUES = st.one_of(
    st.lists(st.integers(-(2**40), 2**40) | st.none(), min_size=12, max_size=12),
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32) | st.none(), min_size=12, max_size=12),
    st.lists(st.text(alphabet="aä,;\"' \n", max_size=4) | st.none(), min_size=12, max_size=12),
)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300), min_size=1, max_size=60))
@example([0, 6_666_786])
@example([-(2**63), 2**63 - 1])
def test_the_spread_of_any_whole_numbers_is_a_number(values):
    density, digit_share = column_scores.describe_spread(pa.array(values, pa.int64()))
    assert np.isfinite(density) and density >= 0 and 0 < digit_share <= 1


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    columns=st.dictionaries(NAMES.filter(bool), VALUES, min_size=1, max_size=4), odd=st.sampled_from([0, 1, "a", None])
)
def test_any_table_gives_a_configuration_that_loads_or_our_error(columns, odd, tmp_path):
    label = [odd, 0, 1] * 4
    path = write(tmp_path / "t.jsonl", {**columns, "the label": label})
    try:
        written = initialization.create_config(str(path), "the label", file=tmp_path / "c.yaml", force=True)
    except TaxiwayError as error:
        assert error.remedy
        return
    config = configuration.load_config(written.file)
    assert config.label.column == "the label" and config.data.path == str(path)


def test_a_column_of_empty_texts_is_left_out(tmp_path):
    path = write(tmp_path / "t.jsonl", {"x": [1, 2] * 6, "blank": ["", None, None, None] * 3, "y": [0, 1] * 6})
    written = initialization.create_config(str(path), "y", file=tmp_path / "c.yaml")
    assert configuration.load_config(written.file).features.leave_out == {"blank": "constant: no row holds a value"}


def test_the_command_line_loads_neither_tfx_nor_tensorflow(tmp_path):
    write(tmp_path / "t.csv", {"x": [1, 2] * 30, "y": [0, 1] * 30})
    code = (
        "import sys, typer\nfrom taxiway.pipeline.commands import init\napp = typer.Typer()\ninit.register(app)\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "assert not {'tfx', 'tensorflow', 'apache_beam'} & set(sys.modules)"
    )
    arguments = [str(tmp_path / "t.csv"), "--label", "y", "-o", str(tmp_path / "c.yaml")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Written:" in done.stdout and (tmp_path / "c.yaml").exists()


# What init may not do in silence


def proposed(tmp_path, columns, label="y", sep=",", top="", bottom="", encoding="utf-8", **options):
    """The configuration for a csv file of these columns beside a label, and what init says."""
    rng = random.Random(5)
    rows = len(next(iter(columns.values())))
    whole = {"amount": [round(rng.gauss(100, 20), 2) for _ in range(rows)], **columns}
    if sep == ";":
        whole["amount"] = [str(value).replace(".", ",") for value in whole["amount"]]
    if label not in whole:
        whole[label] = [rng.randrange(2) for _ in range(rows)]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=sep, lineterminator="\n")
    writer.writerow(whole)
    writer.writerows(zip(*whole.values(), strict=True))
    path = tmp_path / "t.csv"
    path.write_bytes((top + out.getvalue() + bottom).encode(encoding))
    written = initialization.create_config(str(path), label, file=tmp_path / "c.yaml", force=True, **options)
    config = configuration.load_config(written.file)
    said = "\n".join(f"{text} [{key}]" for key, text in written.proposal.odd)
    assert all(f"-> {text[:40]}" in written.text for _, text in written.proposal.odd)
    return config, written.profile.columns, said


def mixed(word, share, make, rows=400, seed=2):
    rng = random.Random(seed)
    return [word if rng.random() < share else make(rng) for _ in range(rows)]


@pytest.mark.parametrize(
    "word", ["?", "#N/A", "\\N", "n/a", "-", "--", "<NA>", ".", "(null)", "missing", " ?", "Unknown"]
)
@pytest.mark.parametrize("share", [0.01, 0.3])
def test_a_word_among_numbers_is_missing(word, share, tmp_path):
    config, columns, said = proposed(tmp_path, {"x": mixed(word, share, lambda rng: rng.randrange(99))})
    assert columns["x"].kind == "int" and columns["x"].missing == config_rows(tmp_path).count(word)
    assert word in config.data.csv.null_values
    assert f"{word!r} ({columns['x'].missing:,}) is taken as missing" in said and "[data.csv.null_values]" in said


def config_rows(tmp_path):
    with open(tmp_path / "t.csv", newline="") as file:
        return [row["x"] for row in csv.DictReader(file)]


def test_a_word_that_is_a_value_elsewhere_is_missing_in_its_column_alone(tmp_path):
    columns = {"x": mixed("-", 0.05, lambda rng: rng.random()), "grade": mixed("-", 0.3, lambda rng: rng.choice("AB"))}
    config, profile, said = proposed(tmp_path, columns)
    assert "-" in config.data.null_values["x"] and "-" not in config.data.csv.null_values
    assert profile["x"].kind == "float" and profile["grade"].distinct == 3 and "[data.null_values (x)]" in said


def test_an_unknown_word_needs_nearly_all_others_to_be_numbers(tmp_path):
    config, columns, _ = proposed(tmp_path, {"x": mixed("oops", 0.03, lambda rng: rng.random())})
    assert columns["x"].kind == "float" and "oops" in config.data.null_values["x"]
    _, columns, said = proposed(tmp_path, {"x": mixed("oops", 0.15, lambda rng: rng.random())})
    assert columns["x"].kind == "string" and "'oops'" in said and "read as text" in said


@pytest.mark.parametrize(
    ("make", "sep", "kind"),
    [
        (lambda n: f"{n:,.2f}", ",", "float:1,234.5"),
        (lambda n: f"{int(n):,}", ",", "int:1,234"),
        (lambda n: f"{n:.2f}".replace(".", ","), ";", "float:1,5"),
        (lambda n: f"{n:,.2f}".translate(str.maketrans(",.", ".,")), ";", "float:1.234,5"),
        (lambda n: f"{n:,.2f}".translate(str.maketrans(",.", " ,")), ";", "float:1 234,5"),
        (lambda n: f"{n:,.2f}".translate(str.maketrans(",.", "\u00a0,")), ";", "float:1 234,5"),
        (lambda n: f"{n:,.2f}".replace(",", "'"), ",", "float:1'234.5"),
        (lambda n: f"${n:,.2f}", ",", "float:$1,234.5"),
        (lambda n: f"{n % 100:.2f} €".replace(".", ","), ";", "float:1,5 €"),
        (lambda n: f"{n % 100:.1f}%", ",", "float:1.5%"),
        (lambda n: f"({n:.2f})" if int(n) % 3 else f"{n:.2f}", ",", "float:1.5"),
        (lambda n: f"{n % 100:.1f} kg", ",", "float:1.5 kg"),
        (lambda n: f"{int(n):>9} ", ",", ""),
        (lambda n: f"{int(n) % 1000:05d}", ",", ""),
        (lambda n: ["18-25", "26-35"][int(n) % 2], ",", ""),
        (lambda n: ["36 months", "60 months"][int(n) % 2], ",", ""),
        (lambda n: ".".join(str(int(n) * k % 255) for k in (3, 5, 7, 11)), ",", ""),
        (lambda n: f"{int(n) % 900 + 100} {int(n) * 7 % 900 + 100} {int(n) * 3 % 900 + 100}", ",", ""),
    ],
)
def test_numbers_in_other_ways_of_writing(make, sep, kind, tmp_path):
    rng = random.Random(4)
    numbers = [rng.uniform(1, 4_000_000) for _ in range(300)]
    config, columns, said = proposed(tmp_path, {"x": [make(n) for n in numbers]}, sep=sep)
    assert config.data.types.get("x", "") == kind
    if kind:
        assert "[data.types (x)]" in said and columns["x"].missing == 0 and columns["x"].kind == kind.partition(":")[0]
    if kind in ("float:1,234.5", "float:$1,234.5", "float:1.234,5"):
        assert columns["x"].greatest == pytest.approx(max(numbers), abs=0.01)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["00501", "1234", "01234"], "begin with a zero"),
        (["0x1F", "0x2A", "0x03"], "hexadecimal"),
        (["12E4", "1234", "99E1"], "look like 12E4"),
        (["9007199254740993", "12", "13"], "beyond 2^53"),
    ],
)
def test_codes_are_text_and_said(values, words, tmp_path):
    _, columns, said = proposed(tmp_path, {"x": values * 50})
    assert columns["x"].kind == "string" and columns["x"].distinct == 3 and words in said


@pytest.mark.parametrize(("unit", "factor"), [("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_counted_times(unit, factor, tmp_path):
    rng = random.Random(1)
    when = [(1_700_000_000 + rng.randrange(10**7)) * factor + rng.randrange(factor) for _ in range(200)]
    config, columns, said = proposed(tmp_path, {"event_time": when})
    assert config.data.types == {"event_time": f"time:{unit}"} and config.features.calendar["event_time"]
    assert columns["event_time"].greatest == max(when) // factor and "seconds since 1970" in said


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("%Y%m%d", "which %Y%m%d writes"),
        ("%m/%d/%y", "which %m/%d/%y writes"),
        ("%d-%b-%y", "which %d-%b-%y writes"),
        ("%d.%m.%Y", "which %d.%m.%Y writes"),
        ("%b %d, %Y", "which %b %d, %Y writes"),
    ],
)
def test_how_times_are_written_is_said_and_right(form, words, tmp_path):
    rng = random.Random(2)
    days = [datetime.date(2021, 1, 1) + datetime.timedelta(rng.randrange(900)) for _ in range(200)]
    config, columns, said = proposed(tmp_path, {"day": [day.strftime(form) for day in days]})
    assert config.data.types == {"day": f"time:{form}"} and words in said
    assert dict(columns["day"].parts)["weekday"] == 7 and config.features.calendar.keys() == {"day"}


def test_other_numbers_of_eight_digits_are_no_dates(tmp_path):
    rng = random.Random(2)
    config, columns, _ = proposed(tmp_path, {"part": [rng.randrange(19_000_101, 21_001_231) for _ in range(200)]})
    assert columns["part"].kind == "int" and not config.data.types and not config.features.calendar


def test_a_date_that_two_formats_fit_is_a_question(tmp_path):
    days = [f"{1 + i % 12:02d}/{1 + i % 11:02d}/2024" for i in range(200)]
    config, _, said = proposed(tmp_path, {"day": days})
    assert config.data.types == {"day": "time:%m/%d/%Y"} and "%d/%m/%Y would fit too: choose" in said


def test_rows_without_a_label_are_said(tmp_path):
    _, _, said = proposed(tmp_path, {"y": ["1.0", "0.0", "", "0.0"] * 50})
    assert "50 of 200 rows have no label: they are left out [label.missing]" in said


def test_who_asks_by_name_is_told_that_there_is_no_header(tmp_path):
    (tmp_path / "adult.data").write_text("39, Private, 77516, <=50K\n50, State-gov, 83311, >50K\n" * 50)
    with pytest.raises(TaxiwayError) as caught:
        initialization.create_config(str(tmp_path / "adult.data"), "income", file=tmp_path / "c.yaml")
    assert "the first row holds values, no names (39, Private" in str(caught.value)
    made = initialization.create_config(str(tmp_path / "adult.data"), "column_3", file=tmp_path / "c.yaml")
    assert made.profile.label.config.classes == ("<=50K", ">50K")


def test_a_delimiter_at_the_end_of_rows_alone_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n" + "1,0,\n2,1,\n" * 50)
    with pytest.raises(TaxiwayError) as caught:
        initialization.create_config(str(tmp_path / "t.csv"), "y", file=tmp_path / "c.yaml")
    assert "the delimiter from the end of each row" in str(caught.value) and "max_bad_rows" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        (["None", "Mild", "Severe"], {"None", "Mild", "Severe"}, "'None' (100) is a class"),
        (["NA", "A", "B"], {"NA", "A", "B"}, "'NA' (100) is a class"),
        (["yes", "no", "NA"], ("no", "yes"), "a missing label"),
        (["yes", "no", "?"], ("no", "yes"), "a missing label"),
        (["Yes", "yes ", "No"], ("No", "Yes"), "'yes ' is 'Yes' [label.spellings]"),
        (["No churn", "Churn"], ("No churn", "Churn"), ""),
        (["completed"] * 9 + ["cancelled"], ("completed", "cancelled"), "30 of 300 rows"),
        (["a"] + ["b"] * 5, ("b", "a"), ""),
        (["<=50K", "<=50K", ">50K"], ("<=50K", ">50K"), ""),
        (["good", "bad", "bad"], ("good", "bad"), ""),
        (["active", "cancelled", "cancelled"], ("active", "cancelled"), ""),
        (["normal", "abnormal", "abnormal"], ("normal", "abnormal"), ""),
        ([1, 2, 2], ("2", "1"), ""),
        ([-1, 1, 1], ("-1", "1"), ""),
        (["True", "True", "False"], ("false", "true"), ""),
    ],
)
def test_classes_of_the_label(labels, classes, words, tmp_path):
    rows = (labels * 300)[: 300 // len(labels) * len(labels)]
    config, _, said = proposed(tmp_path, {"y": rows})
    assert config.label.classes == classes if isinstance(classes, tuple) else set(config.label.classes) == classes
    assert words in said
    if len(classes) == 2:
        assert config.label.positive == classes[-1]


def test_a_numeric_label_is_a_regression_though_words_stand_in_it(tmp_path):
    config, _, said = proposed(tmp_path, {"y": mixed("?", 0.04, lambda rng: rng.randrange(900))})
    assert config.label.task == "regression" and "'?'" in said
    config, _, _ = proposed(tmp_path, {"y": mixed("", 0, lambda rng: f"${rng.randrange(90_000):,}")})
    assert config.label.task == "regression" and config.data.types == {"y": "float:$1,234.5"}


def test_the_loss_is_chosen_by_the_shape_of_the_label(tmp_path):
    prices = mixed("", 0, lambda rng: round(rng.lognormvariate(3, 1.5), 2))
    config, _, said = proposed(tmp_path, {"y": prices})
    assert "y has a few very large values (kurtosis " in said and "--label 'log(y)'" in said
    assert (config.training.regression_loss, config.evaluation.main_metric) == ("huber", "mae")
    naive = np.abs(np.asarray(prices, float) - np.mean(np.asarray(prices, float))).mean()
    [(metric, bound)] = config.evaluation.thresholds.items()
    assert (metric, bound.max) == ("mae", pytest.approx(0.99 * naive, rel=0.01))
    config, _, said = proposed(tmp_path, {"y": mixed("", 0, lambda rng: round(rng.gauss(3, 1.5), 2))})
    assert "very large values" not in said and list(config.evaluation.thresholds) == ["rmse"]
    assert (config.training.regression_loss, config.evaluation.get_main_metric("regression")) == ("squared", "rmse")


def test_namibia(tmp_path):
    config, columns, said = proposed(
        tmp_path, {"country": ["NA", "NL", "NO"] * 60, "note": ["NA", "good", "fair"] * 60}
    )
    assert config.data.null_values == {"country": ("",)} and columns["country"].missing == 0
    assert columns["note"].missing == 60 and "note: 'NA' (60) is taken as missing" in said


def test_lines_that_are_no_rows_are_named(tmp_path):
    columns = {"x": list(range(100))}
    config, profile, said = proposed(tmp_path, columns, top="# by crm\n\n", bottom="Total,4950,\n1 row more\n")
    assert config.data.csv.skip_lines == 2 and config.data.csv.footer == ("Total",) and profile["x"].rows == 100
    assert "'# by crm'" in said and "'Total,4950,'" in said and "1 row cannot be read" in said


def test_windows_1252_anywhere_in_the_file(tmp_path):
    config, _, said = proposed(tmp_path, {"x": ["a" * 2000] * 199 + ["5 €"]}, encoding="cp1252")
    assert config.data.csv.encoding == "cp1252" and "not UTF-8" in said


@pytest.mark.parametrize(
    ("text", "example"), [("a Müller, b", "Müller"), ("5 €", "€"), ("x" * 300_000 + "é", "x" * 29)]
)
def test_the_example_of_an_encoding_is_found_in_time_that_grows_with_the_text(text, example):
    assert f"so that it says '{example}" in csv_dialect._describe_encoding("cp1252", text)


def test_columns_that_cannot_be_used_are_left_out_with_the_reason(tmp_path, capsys):
    import decimal

    rows = 100
    table = pa.table(
        {
            "price": [decimal.Decimal(i) / 7 for i in range(rows)],
            "blob": pa.array([bytes([255, i]) for i in range(rows)], pa.binary()),
            "tags": [["a"]] * rows,
            "took": pa.array(range(rows), pa.duration("s")),
            "at": pa.array(range(rows), pa.time32("s")),
            "y": [i % 2 == 0 for i in range(rows)],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    written = initialization.create_config(str(tmp_path / "t.parquet"), "y", file=tmp_path / "c.yaml")
    initialization.print_summary(written)
    assert set(configuration.load_config(written.file).data.leave_out) == {"blob", "tags", "took", "at"}
    shown = capsys.readouterr().out
    assert "blob: left out of the examples: it holds bytes, no text, in 100 of 100 values" in shown
    assert "duration[s], which is not one value a row" in shown


def test_leave_out_and_format(tmp_path):
    config, columns, _ = proposed(tmp_path, {"x": [1, 2] * 50, "z": [3, 4] * 50}, leave_out=["x"], form="csv")
    assert config.data.leave_out == ("x",) and "x" not in columns and config.data.format == "csv"
    with pytest.raises(UsageError, match=r"'amont'(.|\n)*'amount'"):
        initialization.create_config(str(tmp_path / "t.csv"), "y", file=tmp_path / "d.yaml", leave_out=["amont"])
    with pytest.raises(UsageError, match="the label needs"):
        initialization.create_config(str(tmp_path / "t.csv"), "y", file=tmp_path / "d.yaml", leave_out=["y"])


def test_too_few_rows_are_said(tmp_path):
    assert "12 rows are too few" in proposed(tmp_path, {"x": range(12)})[2]
    assert "'1' has 9 of 3,000 rows" in proposed(tmp_path, {"x": range(3000), "y": [1] * 9 + [0] * 2991})[2]


def test_what_init_found_is_what_rows_are_read_by(tmp_path):
    """The kinds and values of the profile are those of the same configuration's own reading."""
    from taxiway.components.example_gen.stages.survey import survey_file
    from taxiway.components.tables.sources.files import select_source_files

    columns = {"x": mixed("?", 0.1, lambda rng: f"${rng.random():.2f}"), "zip": ["01234", "99999"] * 200}
    config, profile, _ = proposed(tmp_path, columns, top="# made\n", bottom="Total,,,\n")
    (file,) = select_source_files(config.data)
    seen = survey_file({"data": config.data.model_dump(mode="json"), "file": vars(file)})
    assert seen["rows"] == 400 and not seen["bad"]["count"] and seen["kinds"]["zip"] == profile["zip"].kind == "string"


def propose(tmp_path, columns, label):
    write(tmp_path / "t.csv", {**columns, "y": label})
    written = initialization.create_config(str(tmp_path / "t.csv"), "y", file=tmp_path / "c.yaml")
    return configuration.load_config(written.file).features, written.proposal


def test_numbers_that_are_names_are_told_by_values_not_by_their_columns_names(tmp_path):
    rng = random.Random(5)
    rows = 4000
    effects = [rng.gauss(0, 1) for _ in range(60)]
    table = {
        "x1": [rng.randrange(60) for _ in range(rows)],  # each number has an effect of its own
        "x2": [10_000 + rng.randrange(300) for _ in range(rows)],  # codes of five digits
        "area": [rng.randrange(17, 90) for _ in range(rows)],  # the label rises with it
        "number": [min(int(rng.expovariate(0.5)), 9) for _ in range(rows)],
        "class": [rng.randrange(1990, 2020) for _ in range(rows)],
    }
    score = [
        effects[a] + (area - 50) / 30 + 0.3 * number + (year - 2005) / 20 + rng.gauss(0, 0.5)
        for a, area, number, year in zip(*(table[name] for name in ("x1", "area", "number", "class")), strict=True)
    ]
    features, proposal = propose(tmp_path, table, ["yes" if each > 0.5 else "no" for each in score])
    assert set(features.categorical) == {"x1", "x2"}
    assert "x1: each number tells more of the label than their order does" in proposal.comments["features.categorical"]


def test_names_beyond_a_vocabulary_are_hashed_and_free_text_is_read_by_its_words(tmp_path):
    rng = random.Random(6)
    rows, words = 8000, [f"word{i}" for i in range(500)]
    table = {
        "street": [f"street {rng.randrange(14000)}" for _ in range(rows)],
        "comment": [" ".join(rng.choices(words, k=12)) for _ in range(rows)],
        "token": [f"{i:08x}" for i in range(rows)],
        "x": [rng.random() for _ in range(rows)],
    }
    features, proposal = propose(tmp_path, table, [int(x > 0.5) ^ (rng.random() < 0.2) for x in table["x"]])
    assert features.hashed == ("street",)
    assert features.text == ("comment",)
    assert set(features.leave_out) == {"token"}
    assert proposal.comments["features.hashed"]


def test_words_of_one_row_are_masked_where_there_are_many(tmp_path):
    rng = random.Random(7)
    rows = 600
    table = {
        "shop": [f"shop {min(i, 30)}" for i in range(rows)],  # 30 words once
        "kind": [rng.choice("abc") for _ in range(rows)],
        "x": [rng.random() for _ in range(rows)],
    }
    label = [int(x > 0.5) ^ (rng.random() < 0.2) for x in table["x"]]
    _, proposal = propose(tmp_path, table, label)
    assert proposal.settings["preprocessing.vocabulary_min_frequency"] == 2
    assert (
        "shop: 30 of 31 words stand in one of the rows looked at"
        in proposal.comments["preprocessing.vocabulary_min_frequency"]
    )
    table["shop"] = [f"shop {min(i % 300, 30)}" for i in range(rows)]
    (tmp_path / "c.yaml").unlink()
    assert "preprocessing.vocabulary_min_frequency" not in propose(tmp_path, table, label)[1].settings


def test_identifiers_are_told_by_values_not_by_their_columns_names(tmp_path):
    rng = random.Random(7)
    rows, stamps = 3000, iter(range(10**6))
    table = {
        "visit": [next(stamps) * 7 + rng.randrange(7) for _ in range(rows)],  # rises from row to row
        "hash": [rng.randrange(10**8) for _ in range(rows)],  # tells nothing
        "number": rng.sample(range(10**6), rows),  # tells of the label
    }
    label = [int(n + rng.gauss(0, 2 * 10**5) > 5 * 10**5) for n in table["number"]]
    features, _ = propose(tmp_path, table, label)
    assert set(features.leave_out) == {"visit", "hash"}
