"""Rows of recorded requests: bodies of REST, and logs of TensorFlow Serving."""

from __future__ import annotations

import json

import numpy as np
import pytest

from taxiway.components.errors import DataError
from taxiway.components.optimizer.given_model.request_rows import has_warmup, read_requests
from tests.components.optimizer.given_model.signature_specs import make_signature

WORDS = ("words", "string", (None, 2))
ITEM = ("item", "int64", (None,))


def write_bodies(folder, *bodies):
    path = folder / "requests.jsonl"
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies), encoding="utf-8")
    return path


def test_instances_and_inputs_with_nested_texts(tmp_path):
    """Lists of texts used to become the text of a Python list."""
    path = write_bodies(
        tmp_path,
        {"instances": [{"words": ["good", {"b64": "AP8="}], "item": 2**60 + 1}]},
        {"inputs": {"words": [["é", "b"], ["", "c"]], "item": [1, 2]}},
        {"signature_name": "other", "instances": [{"words": ["x", "y"], "item": 5}]},
    )
    found = read_requests(path, make_signature(WORDS, ITEM)).tensors
    assert found["words"].tolist() == [[b"good", b"\x00\xff"], ["é".encode(), b"b"], [b"", b"c"]]
    assert found["item"].tolist() == [2**60 + 1, 1, 2]


def test_rows_of_the_only_input_need_no_name(tmp_path):
    path = write_bodies(tmp_path, {"instances": ["a", {"b64": "YQ"}]}, {"inputs": ["c"]})
    assert read_requests(path, make_signature(("text", "string", (None,)))).tensors["text"].tolist() == [
        b"a",
        b"a",
        b"c",
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"instances": [{"item": 1.5}]}, r"line 1: The column 'item' holds 1\.5 in row 0, and the input takes int64"),
        ({"instances": [{"item": 1}, {}]}, "line 1: The instances of a request have other inputs"),
        ({"instances": [{"item": {"a": 1}}]}, r"line 1: .*no number: \{'a': 1\}"),
        ({"instances": {"item": 1}}, "which is no list of rows"),
        ({"inputs": {"item": 3}}, "'item' is 3, which is no list of rows"),
        ({"instances": [{"item": {"b64": "???"}}]}, "which is no base64"),
        ({"instances": []}, r"no request for the signature 'serving_default'(.|\n)*item int64 \[\?\]"),
        ({"instances": [{"itm": 1}]}, "no request for the signature"),
    ],
)
def test_what_is_no_request_is_told_with_its_line(tmp_path, body, said):
    with pytest.raises(DataError, match=said):
        read_requests(write_bodies(tmp_path, body), make_signature(ITEM))


@pytest.mark.parametrize(
    ("content", "said"), [(b'{"instances": [', "line 1 is not JSON"), (b'{"\xff"', "is not UTF-8")]
)
def test_a_file_that_is_not_json(tmp_path, content, said):
    (tmp_path / "requests.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_requests(tmp_path / "requests.jsonl", make_signature(ITEM))


def test_rows_of_two_shapes_cannot_be_batched(tmp_path):
    path = write_bodies(tmp_path, {"inputs": [[1, 2]]}, {"inputs": [[1, 2, 3]]})
    with pytest.raises(DataError, match="rows of 2 shapes"):
        read_requests(path, make_signature(("counts", "int64", (None, None))))


def write_logs(path, *logs):
    import tensorflow as tf

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log if isinstance(log, bytes) else log.SerializeToString())


def make_predict_log(signature_name="", **inputs):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature_name
    for name, values in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return log


def make_classify_log(*records):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog()
    for record in records:
        log.classify_log.request.input.example_list.examples.append(tf.train.Example.FromString(record))
    return log


def test_logs_of_predict_for_this_signature(tmp_path):
    file = tmp_path / "assets.extra" / "tf_serving_warmup_requests"
    write_logs(
        file,
        make_predict_log(item=np.array([1, 2])),
        make_predict_log("serving_default", item=np.array([2**60 + 1])),
        make_predict_log("other", item=np.array([9])),
        make_predict_log(another=np.array([9])),
    )
    assert has_warmup(tmp_path)
    assert read_requests(file, make_signature(ITEM)).tensors["item"].tolist() == [1, 2, 2**60 + 1]


def test_logs_of_classify_hold_examples(tmp_path):
    import tensorflow as tf

    example = tf.train.Example()
    example.features.feature["age"].int64_list.value.append(3)
    serialized = example.SerializeToString()
    write_logs(tmp_path / "logs", make_classify_log(serialized, serialized), make_classify_log())
    found = read_requests(tmp_path / "logs", make_signature(("examples", "string", (None,)))).tensors["examples"]
    assert found.tolist() == [serialized, serialized]


def test_a_record_that_is_no_log(tmp_path):
    write_logs(tmp_path / "logs", b"\xff\xff\xff")
    with pytest.raises(DataError, match="no PredictionLog"):
        read_requests(tmp_path / "logs", make_signature(ITEM))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_requests(tmp_path / "gone", make_signature(ITEM))
