"""The split of files: equal rows spread, classes keep their shares, and notes say what a reader must know."""

import json

import numpy as np
import pytest

from taxiway.components.contract import SPLITS
from taxiway.components.errors import ConfigError, DataError
from taxiway.components.example_gen.config import LabelConfig
from taxiway.components.example_gen.splits.counting import Workspace
from tests.components.example_gen.rows import make, read_split, write


def discrete(rows=1200):
    random = np.random.default_rng(5)
    x, z = random.integers(0, 3, rows), random.integers(0, 3, rows)
    y = np.where(random.random(rows) < (x + 1) / 5, "yes", "no")
    return {"x": [f"v{i}" for i in x], "z": z.tolist(), "y": y.tolist()}


@pytest.mark.parametrize("classes", [(), ("no", "yes")])
def test_both_answers_of_one_cell_are_in_every_split(tmp_path, classes):
    done = make(write(tmp_path / "t.csv", discrete()), tmp_path / "o", LabelConfig(column="y", classes=classes))
    for split in SPLITS:
        cells = {(r["x"], r["z"], r["y"]) for r in read_split(tmp_path / "o", split)}
        assert len(cells) == 3 * 3 * 2
    assert done.equal_rows == 1200 - 18
    assert (done.eval_rows_like_train, done.test_rows_like_train) == (done.rows["eval"], done.rows["test"])
    assert [note.rule for note in done.notes] == ["equal_rows", "features_in_both_splits"]
    assert "1,182 of 1,200 (98.5%)" in done.notes[0].explanation
    record = json.loads((tmp_path / "o" / "ingest.json").read_text())
    assert record["equal_rows"] == 1182 and record["notes"][1]["split"] == "test"
    assert not (tmp_path / "o" / ".counting").exists()


def test_a_rare_class_has_its_share(tmp_path):
    table = {"x": list(range(3000)), "y": ["yes" if i % 331 == 7 else "no" for i in range(3000)]}
    assert table["y"].count("yes") == 10
    done = make(write(tmp_path / "t.csv", table), tmp_path / "o", LabelConfig(column="y"))
    assert done.class_rows == {"train": [2093, 7], "eval": [448, 2], "test": [449, 1]}
    assert done.notes == ()


def test_a_regression_is_split_by_share(tmp_path):
    table = {"x": list(range(505)), "y": [i / 7 for i in range(505)]}
    done = make(write(tmp_path / "t.csv", table), tmp_path / "o", LabelConfig(column="y", task="regression"))
    assert done.class_rows == {"train": [353], "eval": [76], "test": [76]}


def test_an_entity_split_without_a_class_says_so(tmp_path):
    table = {
        "who": [i // 50 for i in range(500)],
        "x": list(range(500)),
        "y": ["rare" if i < 50 else "b" for i in range(500)],
    }
    done = make(write(tmp_path / "t.csv", table), tmp_path / "o", split={"by": "entity", "column": "who"})
    assert {note.rule for note in done.notes} == {"class_missing_in_split"}
    assert "'rare'" in done.notes[0].explanation and "'who'" in done.notes[0].explanation
    assert 0 in (*done.class_rows["train"], *done.class_rows["eval"], *done.class_rows["test"])


def test_rows_without_a_label_and_bad_rows_are_not_counted(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "1,a\n" * 40 + "1,b\n" * 20 + "1,\n" * 10 + "1,2,3\n")
    done = make(path, tmp_path / "o", max_bad_rows=1)
    assert done.rows == {"read": 71, "bad": 1, "without_label": 10, "left_out": 0, "train": 48, "eval": 12}
    assert done.class_rows == {"train": [32, 16], "eval": [8, 4]} and done.equal_rows == 58


def test_labels_of_several_files_in_other_orders(tmp_path):
    for name, labels in (("a", "ab"), ("b", "ca"), ("c", "bc")):
        write(tmp_path / "d" / f"{name}.csv", {"x": list(range(50)), "y": [labels[i % 2] for i in range(50)]})
    done = make(tmp_path / "d", tmp_path / "o", LabelConfig(column="y", task="multiclass"))
    assert done.classes == ("a", "b", "c")
    assert done.class_rows == {"train": [40, 40, 40], "eval": [10, 10, 10]}


def test_few_rows_make_two_splits_and_a_note_says_so(tmp_path):
    table = {"x": list(range(120)), "y": [i % 2 for i in range(120)]}
    done = make(write(tmp_path / "t.csv", table), tmp_path / "o")
    assert done.class_rows == {"train": [48, 48], "eval": [12, 12]}
    assert not (tmp_path / "o" / "Split-test").exists() and done.split["test"] == 0
    [note] = done.notes
    assert note.rule == "judged_on_eval" and "too few rows for a split 'test'" in note.explanation


def test_two_splits_that_are_asked_for_and_a_note_says_so(tmp_path):
    table = {"x": list(range(1000)), "y": [i % 2 for i in range(1000)]}
    path = write(tmp_path / "t.csv", table)
    done = make(path, tmp_path / "o", split={"train": 0.8, "eval": 0.2})
    assert done.class_rows == {"train": [400, 400], "eval": [100, 100]}
    assert [note.rule for note in done.notes] == ["judged_on_eval"]
    assert "asks for no split 'test'" in done.notes[0].explanation


@pytest.mark.parametrize(
    ("split", "latest"),
    [
        ({}, (range(700, 850), range(850, 1000))),
        ({"cutoff": "500", "test_cutoff": "900"}, (range(500, 900), range(900, 1000))),
    ],
)
def test_the_latest_rows_are_test(tmp_path, split, latest):
    table = {"t": list(range(1000))[::-1], "x": [1.5] * 1000, "y": [i % 2 for i in range(1000)]}
    done = make(write(tmp_path / "t.csv", table), tmp_path / "o", split={"by": "time", "column": "t", **split})
    chosen = [sorted(row["t"] for row in read_split(tmp_path / "o", name)) for name in ("eval", "test")]
    assert chosen == [list(rows) for rows in latest] and done.cutoffs == (latest[0][0], latest[1][0])


def test_a_test_cutoff_before_the_cutoff_is_refused(tmp_path):
    path = write(tmp_path / "t.csv", {"t": [1, 2, 3], "y": [0, 1, 0]})
    with pytest.raises(DataError, match="'2' is not later than cutoff '3'"):
        make(path, tmp_path / "o", split={"by": "time", "column": "t", "cutoff": "3", "test_cutoff": "2"})


@pytest.mark.parametrize("splits", [("eval", "test"), ("eval",)])
def test_files_that_are_splits(tmp_path, splits):
    names = ("a_train.csv", "b_train.csv", "a_valid.csv", "a_test.csv")
    for number, name in enumerate(names):
        write(tmp_path / "d" / name, {"x": [number] * 20, "y": [i % 2 for i in range(20)]})
    files = {"eval": "*_valid.csv", "test": "*_test.csv"}
    split = {"by": "file", "files": {name: files[name] for name in splits}}
    done = make(tmp_path / "d", tmp_path / "o", split=split)
    assert {row["x"] for row in read_split(tmp_path / "o", "eval")} == {2} and done.rows["eval"] == 20
    if "test" in splits:
        assert {row["x"] for row in read_split(tmp_path / "o", "test")} == {3} and done.rows["train"] == 40
    else:
        assert done.rows["train"] == 60 and "data.split.files.test sets" in done.notes[0].explanation


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"eval": "*.parquet"}, "no file for 'eval' .'\\*.parquet'"),
        ({"eval": "*.csv"}, "no file for 'train' .any other"),
    ],
)
def test_a_split_without_a_file_is_refused(tmp_path, files, words):
    path = write(tmp_path / "t.csv", {"x": [1, 2], "y": [0, 1]})
    with pytest.raises(ConfigError, match=words):
        make(path, tmp_path / "o", split={"by": "file", "files": files})


def test_a_workspace_behind_a_url(tmp_path):
    workspace = Workspace(f"file://{tmp_path}/space")
    workspace.save_array("numbers", np.arange(10, dtype=np.uint64))
    assert workspace.load_array("numbers", np.uint64, 3, 5).tolist() == [3, 4]
    assert len(workspace.load_array("numbers", np.uint64)) == 10
    workspace.delete_folder()
    assert not (tmp_path / "space").exists()
