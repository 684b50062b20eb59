"""The split of files: equal rows spread, classes keep their shares, and what is notable is said."""

import json

import numpy as np
import pytest

from components.example_gen.config import LabelConfig
from components.example_gen.counting import Workspace
from tests.components.example_gen.rows import make, read_split, write


def discrete(rows=1200):
    random = np.random.default_rng(5)
    x, z = random.integers(0, 3, rows), random.integers(0, 3, rows)
    y = np.where(random.random(rows) < (x + 1) / 5, "yes", "no")
    return {"x": [f"v{i}" for i in x], "z": z.tolist(), "y": y.tolist()}


@pytest.mark.parametrize("classes", [(), ("no", "yes")])
def test_both_answers_of_one_cell_are_in_both_splits(tmp_path, classes):
    done = make(write(tmp_path / "t.csv", discrete()), tmp_path / "o", LabelConfig(column="y", classes=classes))
    for split in ("train", "eval"):
        cells = {(r["x"], r["z"], r["y"]) for r in read_split(tmp_path / "o", split)}
        assert len(cells) == 3 * 3 * 2
    assert done.equal_rows == 1200 - 18 and done.eval_rows_like_train == done.rows["eval"]
    assert [note.rule for note in done.notes] == ["equal_rows", "features_in_both_splits"]
    assert "1,182 of 1,200 (98.5%)" in done.notes[0].explanation
    record = json.loads((tmp_path / "o" / "ingest.json").read_text())
    assert record["equal_rows"] == 1182 and record["notes"][1]["split"] == "eval"
    assert not (tmp_path / "o" / ".counting").exists()


def test_a_rare_class_has_its_share(tmp_path):
    table = {"x": list(range(3000)), "y": ["yes" if i % 331 == 7 else "no" for i in range(3000)]}
    assert table["y"].count("yes") == 10
    done = make(write(tmp_path / "t.csv", table), tmp_path / "o", LabelConfig(column="y"))
    assert done.class_rows == {"train": [2392, 8], "eval": [598, 2]}
    assert done.notes == ()


def test_a_regression_is_split_by_share(tmp_path):
    table = {"x": list(range(505)), "y": [i / 7 for i in range(505)]}
    done = make(write(tmp_path / "t.csv", table), tmp_path / "o", LabelConfig(column="y", task="regression"))
    assert done.rows["eval"] == 101 and done.class_rows == {"train": [404], "eval": [101]}


def test_an_entity_split_without_a_class_says_so(tmp_path):
    table = {
        "who": [i // 50 for i in range(500)],
        "x": list(range(500)),
        "y": ["rare" if i < 50 else "b" for i in range(500)],
    }
    done = make(write(tmp_path / "t.csv", table), tmp_path / "o", split={"by": "entity", "column": "who"})
    [note] = done.notes
    assert note.rule == "class_missing_in_split" and "'rare'" in note.explanation and "'who'" in note.explanation
    assert 0 in (*done.class_rows["train"], *done.class_rows["eval"])


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


def test_a_workspace_behind_a_url(tmp_path):
    workspace = Workspace(f"file://{tmp_path}/space")
    workspace.save("numbers", np.arange(10, dtype=np.uint64))
    assert workspace.load("numbers", np.uint64, 3, 5).tolist() == [3, 4]
    assert len(workspace.load("numbers", np.uint64)) == 10
    workspace.remove()
    assert not (tmp_path / "space").exists()
