"""What `taxiway init` proposes: reasons, thresholds, and a file that loads again. No tfx, no TensorFlow."""

import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.errors import DataError, TaxiwayError, UsageError
from pipeline import config as configuration
from pipeline import init as initialization
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
    written = initialization.init(str(folder / "odd.csv"), "bought", file=folder / "odd.yaml")
    return written, configuration.load(written.file)


def test_reasons(made):
    _, config = made
    left_out = config.features.leave_out
    assert set(left_out) == {"id", "row", "same", "when", "day", "verdict"}
    assert "600 different texts in 600 rows" in left_out["id"]
    assert left_out["row"] == "identifier: a different number in every row"
    assert left_out["same"].startswith("constant")
    assert left_out["verdict"].startswith("gives the label away: AUC 1.000")
    assert config.data.leave_out == ("empty",)
    assert config.features.categorical == ("zip code",)


def test_times_label_and_thresholds(made):
    written, config = made
    assert config.data.types == {"when": "time", "day": "time:%d.%m.%Y"}
    assert config.data.calendar == {"when": ("month", "weekday", "hour"), "day": ("month", "weekday")}
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
    from components.example_gen.ingest import ingest
    from tests.components.example_gen.rows import read_all

    _, config = made
    done = ingest(config.data, config.label, str(tmp_path))
    assert done.rows["train"] + done.rows["eval"] == ROWS
    row = read_all(tmp_path)[0]
    assert {"when_hour", "day_month", "Größe (USD)"} <= set(row) and "empty" not in row


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
    written = initialization.init(path, label, file=tmp_path / "c.yaml")
    config = configuration.load(written.file)
    assert config.label.task == task
    assert left_out <= set(config.features.leave_out)
    assert "fare" not in config.features.leave_out
    assert config.evaluation.thresholds


def test_the_taxi_label_by_expression_has_its_bar(tmp_path):
    written = initialization.init(f"{TAXI}/simple/data.csv", "tips > 0.2 * fare", file=tmp_path / "c.yaml")
    assert "payment_type alone reaches AUC" in written.text
    assert configuration.load(written.file).name == "simple"


def test_dialects(tmp_path):
    (tmp_path / "a.csv").write_bytes("größe;y\n1,5;ja\n2,5;nein\n".encode("latin-1") * 20)
    (tmp_path / "b.csv").write_text("1|2|0\n3|4|1\n" * 20)
    first = initialization.described(str(tmp_path / "a.csv")).csv
    assert (first.delimiter, first.encoding) == (";", "latin-1")
    second = initialization.described(str(tmp_path / "b.csv")).csv
    assert (second.delimiter, second.header, second.names) == ("|", False, ("column_0", "column_1", "column_2"))


def test_typed_columns_and_lists(tmp_path):
    import datetime

    when = [datetime.datetime(2020, 1, 1 + i % 28, i % 24) for i in range(100)]
    tags = [["a", "b"] if i % 2 else [] for i in range(100)]
    target = [i % 7 + (i % 24) * 0.5 for i in range(100)]
    pq.write_table(pa.table({"when": when, "tags": tags, "y": target}), tmp_path / "t.parquet")
    config = configuration.load(initialization.init(str(tmp_path / "t.parquet"), "y", file=tmp_path / "c.yaml").file)
    assert config.label.task == "regression" and config.data.leave_out == ("tags",)
    assert config.data.calendar == {"when": ("weekday", "hour")} and not config.data.types
    assert config.evaluation.thresholds["rmse"].max is not None


def test_paths_and_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "deep" / "my trips.csv", {"x": [1, 2] * 30, "y": [0, 1] * 30})
    written = initialization.init("deep/my trips.csv", "y")
    assert written.file == Path("my_trips", "my_trips.yaml")
    assert configuration.load(written.file).data.path == str(tmp_path / "deep" / "my trips.csv")
    with pytest.raises(UsageError, match="exists already"):
        initialization.init("deep/my trips.csv", "y")
    inside = initialization.init("deep/my trips.csv", "y", file=Path("c.yaml"))
    assert "path: deep/my trips.csv" in inside.text
    assert initialization.model_name("d/{SPAN}/*.csv") == "d"
    assert initialization.model_name("/a/2024-01/data.csv") == "model_2024-01"


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
        initialization.init(str(tmp_path / "t.csv"), label, file=tmp_path / "c.yaml")
    assert not (tmp_path / "c.yaml").exists()


def test_a_name_that_no_file_has():
    with pytest.raises(UsageError, match="NUL"):
        initialization.init("a\0b.csv", "y")


def test_where_only_identifiers_are_left_they_stay(tmp_path):
    chance = random.Random(0)
    rows = "".join(f"{n},{chance.choice('ab')}\n" for n in range(100))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}")
    made = initialization.init(str(tmp_path / "t.csv"), "y", file=tmp_path / "c.yaml")
    assert "x" not in made.proposal.settings.get("features.leave_out", {})


NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).map(str.strip)
VALUES = st.one_of(
    st.lists(st.integers(-(2**40), 2**40) | st.none(), min_size=12, max_size=12),
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32) | st.none(), min_size=12, max_size=12),
    st.lists(st.text(alphabet="aä,;\"' \n", max_size=4) | st.none(), min_size=12, max_size=12),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    columns=st.dictionaries(NAMES.filter(bool), VALUES, min_size=1, max_size=4), odd=st.sampled_from([0, 1, "a", None])
)
def test_any_table_gives_a_configuration_that_loads_or_our_error(columns, odd, tmp_path):
    label = [odd, 0, 1] * 4
    path = write(tmp_path / "t.jsonl", {**columns, "the label": label})
    try:
        written = initialization.init(str(path), "the label", file=tmp_path / "c.yaml", force=True)
    except TaxiwayError as error:
        assert error.remedy
        return
    config = configuration.load(written.file)
    assert config.label.column == "the label" and config.data.path == str(path)


def test_the_command_line_loads_neither_tfx_nor_tensorflow(tmp_path):
    write(tmp_path / "t.csv", {"x": [1, 2] * 30, "y": [0, 1] * 30})
    code = (
        "import sys, typer\nfrom pipeline.commands import init\napp = typer.Typer()\ninit.register(app)\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "assert not {'tfx', 'tensorflow', 'apache_beam'} & set(sys.modules)"
    )
    arguments = [str(tmp_path / "t.csv"), "--label", "y", "-o", str(tmp_path / "c.yaml")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Written:" in done.stdout and (tmp_path / "c.yaml").exists()
