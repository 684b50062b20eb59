"""A table's name depends on its content alone, not on the path of its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from taxiway.components.training.model import lookup_tables


def export(folder: Path, words: list[str]) -> Path:
    """A model with a table that was loaded from another model, as Transform's are."""
    folder.mkdir(parents=True)
    (folder / "categories").write_text("".join(f"{word}\n" for word in words))
    init = tf.lookup.TextFileInitializer(
        str(folder / "categories"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )  # fmt: skip
    inner = tf.Module()
    inner.table = tf.lookup.StaticHashTable(init, -1)
    spec = [tf.TensorSpec([None], tf.string)]
    inner.look_up = tf.function(lambda x: inner.table.lookup(x), input_signature=spec, autograph=False)
    tf.saved_model.save(inner, str(folder / "inner"))
    outer = tf.Module()
    outer.inner = tf.saved_model.load(str(folder / "inner"))
    outer.serve = tf.function(lambda x: {"id": outer.inner.look_up(x)}, input_signature=spec, autograph=False)
    tf.saved_model.save(outer, str(folder / "outer"), signatures={"serving_default": outer.serve})
    return folder / "outer"


def names(model: Path) -> set[bytes]:
    proto = lookup_tables.saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    return {node.attr["shared_name"].s for node in lookup_tables._list_tables(proto)}


def test_tables_are_named_by_what_they_hold(tmp_path: Path) -> None:
    one, same, other = (
        export(tmp_path / name, words) for name, words in (("a", ["x", "y"]), ("b/c", ["x", "y"]), ("d", ["y", "x"]))
    )
    before = {each: names(each) for each in (one, same, other)}
    assert str(tmp_path).encode() in b"".join(before[one]), "otherwise there is nothing to do"
    assert [lookup_tables.rename_by_content(each) > 0 for each in (one, same, other)] == [True] * 3
    assert names(one) == names(same) != names(other)
    assert not any(str(tmp_path).encode() in name for name in names(one))
    assert lookup_tables.rename_by_content(one) == 0, "once is enough"
    asked = tf.constant(["x", "y", "z"])
    loaded = [tf.saved_model.load(str(each)) for each in (one, same, other)]  # side by side in one process
    for model, expected in zip(loaded, ([0, 1, -1], [0, 1, -1], [1, 0, -1]), strict=True):
        np.testing.assert_array_equal(model.signatures["serving_default"](asked)["id"], expected)
    assert tf.saved_model.experimental.read_fingerprint(str(one)).saved_model_checksum


def test_a_model_without_tables_is_left_alone(tmp_path: Path) -> None:
    module = tf.Module()
    module.f = tf.function(lambda x: x, input_signature=[tf.TensorSpec([1])])
    tf.saved_model.save(module, str(tmp_path / "m"))
    before = (tmp_path / "m" / "saved_model.pb").read_bytes()
    assert lookup_tables.rename_by_content(tmp_path / "m") == 0
    assert (tmp_path / "m" / "saved_model.pb").read_bytes() == before
