"""Rows of TFRecords that hold tf.Example."""

from __future__ import annotations

import pytest
import tensorflow as tf

from taxiway.components.errors import DataError
from taxiway.components.optimizer.given_model.example_rows import find_example_files, read_examples
from taxiway.components.optimizer.given_model.parsed_examples import ParsedFeature
from tests.components.optimizer.given_model.signature_specs import make_signature


def make_example(**features):
    example = tf.train.Example()
    for name, values in features.items():
        kinds = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
        getattr(example.features.feature[name], kinds[type(values[0])]).value.extend(values)
    return example.SerializeToString()


def write_examples(path, *examples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example)


ROWS = (make_example(words=[b"a\0", b"b"], x=[1.5], y=[1]), make_example(words=[b"", b"\xff"], x=[2.5], y=[0]))


def test_features_become_tensors_and_labels(tmp_path):
    write_examples(tmp_path / "rows.tfrecord", *ROWS)
    signature = make_signature(("words", "string", (None, 2)), ("x", "float32", (None, 1)))
    found = read_examples(str(tmp_path / "rows.tfrecord"), signature, (), "y")
    assert found.tensors["words"].tolist() == [[b"a\0", b"b"], [b"", b"\xff"]]
    assert found.tensors["x"].tolist() == [[1.5], [2.5]]
    assert found.labels.tolist() == [1.0, 0.0]


def test_a_signature_that_parses_gets_them_as_they_are(tmp_path):
    write_examples(tmp_path / "rows.tfrecord", *ROWS)
    signature = make_signature(("examples", "string", (None,)))
    found = read_examples(str(tmp_path), signature, [ParsedFeature("x", "float32", 1)], "")
    assert found.tensors["examples"].tolist() == list(ROWS)
    assert found.labels is None


def test_of_an_artifact_the_split_that_decides_is_read(tmp_path):
    for split in ("train", "eval", "test"):
        write_examples(tmp_path / f"Split-{split}" / "rows", *ROWS)
    assert [file.split("Split-")[1] for file in find_example_files(str(tmp_path))] == ["eval/rows"]


@pytest.mark.parametrize(
    ("examples", "inputs", "said"),
    [
        (ROWS, ("z", "float32", (None, 1)), r"no feature 'z'(.|\n)*words, x, y"),
        (ROWS, ("x", "int64", (None, 1)), r"'x' holds 1\.5 in row 0, and the input takes int64"),
        ((ROWS[0], make_example(x=[1.0, 2.0])), ("x", "float32", (None, 1)), "'x' of .* has 1 to 2 values a row"),
        ((ROWS[0], make_example(x=[3])), ("x", "float32", (None, 1)), "'x' of .* cannot be read"),
        ((b"\xff\xff",), ("x", "float32", (None, 1)), "no tf.Example"),
        ((), ("x", "float32", (None, 1)), "holds no examples"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, examples, inputs, said):
    write_examples(tmp_path / "rows.tfrecord", *examples)
    with pytest.raises(DataError, match=said):
        read_examples(str(tmp_path), make_signature(inputs), (), "")
