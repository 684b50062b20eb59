"""The embedded server's REST answers, case by case against tensorflow/serving's own documentation and tests.

Each case names its source in tensorflow/serving: `api_rest.md` (tensorflow_serving/g3doc), `http_rest_api_handler_test`
(tensorflow_serving/model_servers), `json_tensor_test` (tensorflow_serving/util).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tensorflow as tf

from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions
from taxiway.components.serving.versions.directory import ServingDirectory

THREE, TWO, MANY = "saved_model_half_plus_three", "saved_model_half_plus_two_2_versions", "many"
TYPES = "types"


class HalfPlus(tf.Module):
    """What tensorflow/serving's toy models compute: x / 2 + n, for x of any shape."""

    def __init__(self, n: float) -> None:
        super().__init__()
        self.a, self.n = tf.Variable(0.5), tf.Variable(n)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def serve(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": self.a * x + self.n}


class Many(tf.Module):
    """The inputs of api_rest.md's example of several named tensors, handed back."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "tag"),
            tf.TensorSpec([None, 5], tf.int64, "signal"),
            tf.TensorSpec([None, 2, 2], tf.float32, "sensor"),
        ]
    )
    def serve(self, tag: tf.Tensor, signal: tf.Tensor, sensor: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"tag": tag, "signal": signal, "sensor": sensor, "tag_bytes": tag}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def echo(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"image_bytes": image_bytes}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def odd(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"tenth": x / 10.0, "whole": tf.reduce_sum(x)}


def _same(dtype: str) -> Any:
    """A signature that hands a tensor of any length back."""
    function = tf.function(lambda x: {"x": tf.identity(x)})
    return function.get_concrete_function(tf.TensorSpec([None], tf.dtypes.as_dtype(dtype), "x"))


INTEGERS = ("int8", "uint8", "int16", "int32", "uint32", "int64", "uint64")


def _save(module: tf.Module, folder: Path, **signatures: Any) -> None:
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve, **signatures})


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    base = tmp_path_factory.mktemp("serving")
    many = Many()
    _save(HalfPlus(3.0), base / THREE / "00000123")
    _save(HalfPlus(2.0), base / TWO / "00000123")
    _save(many, base / MANY / "1", echo=many.echo, odd=many.odd)
    types = tf.Module()
    types.serve = _same("string")
    types.all = [_same(dtype) for dtype in ("bool", "float32", "float64", *INTEGERS)]
    named = zip(("bool", "float32", "float64", *INTEGERS), types.all, strict=True)
    _save(types, base / TYPES / "1", **dict(named))
    ServingDirectory(base / TWO).promote(123, "some_label")
    options = ServerOptions(rest_port=0, grpc_port=0, max_request_mb=1.0)
    servers = {name: EmbeddedServer(name, base / name, options) for name in (THREE, TWO, MANY, TYPES)}
    for server in servers.values():
        server.start()
    yield {name: f"http://127.0.0.1:{server.rest_port}" for name, server in servers.items()}
    for server in servers.values():
        server.stop()


def ask(url: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    content = body if isinstance(body, (bytes, str)) or body is None else json.dumps(body)
    answer = httpx.request(method, url + path, content=content, timeout=120)
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, json.loads(answer.text)


# ---- api_rest.md ----


def test_status_example(urls: dict[str, str]) -> None:
    """api_rest.md, "Make REST API calls to ModelServer": the status of half_plus_three."""
    assert ask(urls[THREE], "GET", f"/v1/models/{THREE}") == (
        200,
        {
            "model_version_status": [
                {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
            ]
        },
    )


def test_predict_example(urls: dict[str, str]) -> None:
    """api_rest.md, same section: `curl -d '{"instances": [1.0,2.0,5.0]}' ...:predict`."""
    answer = ask(urls[THREE], "POST", f"/v1/models/{THREE}:predict", {"instances": [1.0, 2.0, 5.0]})
    assert answer == (200, {"predictions": [3.5, 4.0, 5.5]})


def test_unknown_model_example(urls: dict[str, str]) -> None:
    """api_rest.md, same section: the 404 for the model `half`."""
    answer = ask(urls[THREE], "POST", "/v1/models/half:predict", {"instances": [1.0, 5.0]})
    assert answer == (404, {"error": "Servable not found for request: Latest(half)"})


ROWS = {
    "instances": [
        {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
        {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
    ]
}
COLUMNS = {
    "inputs": {
        "tag": ["foo", "bar"],
        "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
        "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]],
    }
}


def test_row_format_of_several_inputs(urls: dict[str, str]) -> None:
    """api_rest.md, "Specifying input tensors in row format": a list of objects in, a list of objects out."""
    status, answer = ask(urls[MANY], "POST", f"/v1/models/{MANY}:predict", ROWS)
    assert status == 200
    assert answer["predictions"] == [
        {**row, "tag_bytes": {"b64": {"foo": "Zm9v", "bar": "YmFy"}[row["tag"]]}} for row in ROWS["instances"]
    ]


def test_column_format_of_several_inputs(urls: dict[str, str]) -> None:
    """api_rest.md, "Specifying input tensors in column format": an object in, an object out under `outputs`."""
    status, answer = ask(urls[MANY], "POST", f"/v1/models/{MANY}:predict", COLUMNS)
    assert status == 200
    assert answer == {"outputs": {**COLUMNS["inputs"], "tag_bytes": [{"b64": "Zm9v"}, {"b64": "YmFy"}]}}


def test_base64_in_and_out(urls: dict[str, str]) -> None:
    """api_rest.md, "Encoding binary values" and "Output of binary values" (the suffix `_bytes`)."""
    for value in ("aW1hZ2UgYnl0ZXM=", "YXdlc29tZSBpbWFnZSBieXRlcw==", "/w=="):
        body = {"signature_name": "echo", "instances": [{"b64": value}]}
        assert ask(urls[MANY], "POST", f"/v1/models/{MANY}:predict", body) == (200, {"predictions": [{"b64": value}]})
    body = {"signature_name": "echo", "inputs": {"image_bytes": [{"b64": "/w"}]}}
    assert ask(urls[MANY], "POST", f"/v1/models/{MANY}:predict", body)[1] == {"outputs": [{"b64": "/w=="}]}


def test_one_input_in_row_format(urls: dict[str, str]) -> None:
    """api_rest.md, "Specifying input tensors in row format": three scalars; two tensors of shape [1, 2]."""
    answer = ask(urls[TYPES], "POST", f"/v1/models/{TYPES}:predict", '{"instances": [ "foo", "bar", "baz" ]}')
    assert answer == (200, {"predictions": ["foo", "bar", "baz"]})
    answer = ask(urls[THREE], "POST", f"/v1/models/{THREE}:predict", '{"instances": [ [[1, 2]], [[3, 4]] ]}')
    assert answer == (200, {"predictions": [[[3.5, 4.0]], [[4.5, 5.0]]]})


def test_the_example_as_it_is_printed(urls: dict[str, str]) -> None:
    """api_rest.md, same section: the example of three inputs has one bracket too many, which is no JSON."""
    body = json.dumps(ROWS).replace("[3, 4, 1, 2, 5]", "[3, 4, 1, 2, 5]]")
    status, answer = ask(urls[MANY], "POST", f"/v1/models/{MANY}:predict", body)
    assert status == 400 and answer["error"].startswith("JSON Parse error: ")


@pytest.mark.parametrize(
    ("signature", "sent", "expected"),
    [
        ("bool", "[true, false]", [True, False]),
        ("serving_default", '["Hello World!"]', ["Hello World!"]),
        *((name, "[1, 10, 0]", [1, 10, 0]) for name in INTEGERS),
        *((name, "[-10]", [-10]) for name in INTEGERS if not name.startswith("u")),
        ("float32", "[1.5, -10.0, 0, 2.5e-1, 1E2]", [1.5, -10.0, 0.0, 0.25, 100.0]),
        ("float64", "[1.1, -10.0, 0, 1e-300]", [1.1, -10.0, 0.0, 1e-300]),
    ],
)
def test_json_mapping(urls: dict[str, str], signature: str, sent: str, expected: list[Any]) -> None:
    """api_rest.md, "JSON mapping": the table's types and examples, exponents among them."""
    body = f'{{"signature_name": "{signature}", "instances": {sent}}}'
    assert ask(urls[TYPES], "POST", f"/v1/models/{TYPES}:predict", body) == (200, {"predictions": expected})


def test_floating_point_precision(urls: dict[str, str]) -> None:
    """api_rest.md, "Floating Point Precision": 1435774380 becomes 1435774336 in a float, and stays in a double."""
    for signature, dtype, expected in (("float32", np.float32, 1435774336), ("float64", np.float64, 1435774380)):
        body = {"signature_name": signature, "inputs": {"x": [1435774380]}}
        status, answer = ask(urls[TYPES], "POST", f"/v1/models/{TYPES}:predict", body)
        # A float is written with no more digits than read it back: 1435774300.0.
        assert status == 200 and dtype(answer["outputs"][0]) == expected


def test_not_finite_numbers_are_tokens(urls: dict[str, str]) -> None:
    """api_rest.md, "JSON conformance": NaN, Infinity and -Infinity in requests and answers."""
    answer = httpx.post(
        f"{urls[THREE]}/v1/models/{THREE}:predict", content='{"instances": [NaN, Infinity, -Infinity]}', timeout=120
    )
    assert answer.status_code == 200 and "[NaN, Infinity, -Infinity]" in answer.text


def test_floats_are_the_shortest_that_read_back(urls: dict[str, str]) -> None:
    """json_tensor.cc, WriteDecimal: 0.2 as float32 is written 0.2, and whole numbers with a point."""
    body = '{"signature_name": "odd", "inputs": [2.0, 3.0]}'
    answer = httpx.post(f"{urls[MANY]}/v1/models/{MANY}:predict", content=body, timeout=120)
    assert json.loads(answer.text) == {"outputs": {"tenth": [0.2, 0.3], "whole": 5.0}} and "5.0" in answer.text


# ---- http_rest_api_handler_test ----


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/v1/foo", "Malformed request: GET /v1/foo"),
        ("POST", "/v1/foo", "Malformed request: POST /v1/foo"),
        ("GET", "/v1/models", "Missing model name in request."),
        ("GET", "/v1/models/debug/model_name", "Malformed request"),
        ("POST", "/v1/models", "Malformed request"),
        ("GET", "/v1/models/foo:predict", "Malformed request"),
        ("GET", "/v1/models/foo/version/50:predict", "Malformed request"),
        ("POST", "/v1/models/foo/version/50:regress", "Malformed request"),
        ("POST", "/v1/models/foo/versions/HELLO:regress", "Malformed request"),
        ("POST", f"/v1/models/foo/versions/{2**64 - 1}:regress", "Failed to convert version"),
        ("POST", "/v1/models/foo/metadata", "Malformed request"),
        ("POST", "/v1/models/foo/label/some_label:regress", "Malformed request"),
        ("POST", "/v1/models/foo/versions/50/labels/some_label:regress", "Malformed request"),
        ("POST", "/v1/models/foo/versions/some_label:regress", "Malformed request"),
        ("PUT", f"/v1/models/{THREE}", "Malformed request"),
    ],
)
def test_unsupported_calls(urls: dict[str, str], method: str, path: str, message: str) -> None:
    """UnsupportedApiCalls."""
    status, answer = ask(urls[THREE], method, path)
    assert status == 400 and message in answer["error"]


@pytest.mark.parametrize(
    "path", ["foo:predict", "foo/versions/50:predict", f"{TWO}99:predict", f"{TWO}/versions/99:predict"]
)
def test_unknown_names_and_versions(urls: dict[str, str], path: str) -> None:
    """PredictModelNameVersionErrors."""
    status, answer = ask(urls[TWO], "POST", f"/v1/models/{path}", {"instances": [1]})
    assert status == 404 and answer["error"].startswith("Servable not found for request: ")


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (":predict", "", "JSON Parse error: The document is empty"),
        (":predict", "instances = [1, 2]", "JSON Parse error: Invalid value"),
        (":predict", '{ "instances": ["x", "y"] }', "not of expected type: float"),
        (
            "/labels/no_such_label:predict",
            '{ "instances": ["x", "y"] }',
            "Unrecognized servable version label: no_such_label",
        ),
        (":predict", '{ "signature_name": 100 }', "'signature_name' key must be a string value."),
    ],
)
def test_request_errors(urls: dict[str, str], path: str, body: str, message: str) -> None:
    """PredictRequestErrors."""
    status, answer = ask(urls[TWO], "POST", f"/v1/models/{TWO}{path}", body)
    assert status == 400 and message in answer["error"]


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (":predict", {"instances": [[1.0, 2.0], [3.0, 4.0]]}, {"predictions": [[2.5, 3.0], [3.5, 4.0]]}),
        ("/versions/123:predict", {"instances": [1.0, 2.0]}, {"predictions": [2.5, 3.0]}),
        ("/labels/some_label:predict", {"instances": [1.0, 2.0]}, {"predictions": [2.5, 3.0]}),
        (
            "/versions/123:predict",
            {"signature_name": "serving_default", "instances": [3.0, 4.0]},
            {"predictions": [3.5, 4.0]},
        ),
        ("/versions/123:predict", {"signature_name": "serving_default", "inputs": [3.0, 4.0]}, {"outputs": [3.5, 4.0]}),
    ],
)
def test_predict(urls: dict[str, str], path: str, body: Any, expected: Any) -> None:
    """Predict: the latest version, a version, a label, a named signature, columns."""
    assert ask(urls[TWO], "POST", f"/v1/models/{TWO}{path}", body) == (200, expected)


@pytest.mark.parametrize("path", ["", "/versions/123", "/labels/some_label"])
def test_get_status(urls: dict[str, str], path: str) -> None:
    """GetStatus: of all versions, of one, of a label."""
    status, answer = ask(urls[TWO], "GET", f"/v1/models/{TWO}{path}")
    expected = {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert (status, answer) == (200, {"model_version_status": [expected]})


def test_status_of_what_is_not_there(urls: dict[str, str]) -> None:
    """get_model_status_impl.cc: the two NOT_FOUND messages."""
    assert ask(urls[TWO], "GET", "/v1/models/foo") == (404, {"error": "Could not find any versions of model foo"})
    expected = {"error": f"Could not find version 7 of model {TWO}"}
    assert ask(urls[TWO], "GET", f"/v1/models/{TWO}/versions/7") == (404, expected)


def test_metadata(urls: dict[str, str]) -> None:
    """GetModelMetadata, in the form of saved_model_half_plus_two_2_versions_metadata.json: numbers are texts."""
    status, answer = ask(urls[MANY], "GET", f"/v1/models/{MANY}/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": MANY, "signature_name": "", "version": "1"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict" and signature["defaults"] == {}
    assert signature["inputs"]["signal"] == {
        "name": "serving_default_signal:0",
        "dtype": "DT_INT64",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "5", "name": ""}], "unknown_rank": False},
    }


@pytest.mark.parametrize("path", ["", "/versions/123", "/labels/some_label"])
def test_metadata_of_a_version_and_a_label(urls: dict[str, str], path: str) -> None:
    """api_rest.md, "Model Metadata API": the latest, a version's, a label's."""
    status, answer = ask(urls[TWO], "GET", f"/v1/models/{TWO}{path}/metadata")
    assert status == 200 and answer["model_spec"]["version"] == "123"
    assert set(answer["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]) == {"x"}


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("foo/metadata", 404, "Servable not found for request: Latest(foo)"),
        (f"{TWO}/versions/99/metadata", 404, f"Servable not found for request: Specific({TWO}, 99)"),
        (f"{TWO}/labels/no_such_label/metadata", 400, "Unrecognized servable version label: no_such_label"),
        (f"{TWO}/labels/no_such_label", 400, "Unrecognized servable version label: no_such_label"),
    ],
)
def test_metadata_and_status_errors(urls: dict[str, str], path: str, status: int, message: str) -> None:
    """server_core.cc, ServableRequestFromModelSpec and GetModelVersionForLabel; basic_manager.cc."""
    assert ask(urls[TWO], "GET", f"/v1/models/{path}") == (status, {"error": message})


# ---- json_tensor_test ----


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[1]", "Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"instances": [1], "inputs": [1]}', "expecting only one of"),
        ('{"instances": 1}', "Expecting 'instances' to be an list/array"),
        ('{"instances": []}', "No values in 'instances' array"),
        ('{"instances": [[1], 2]}', "Failed to process element: 1"),
        ('{"instances": [[1, [2]]]}', "Encountered list at unexpected level"),
        ('{"instances": [[[1, 2], [3]]]}', "Encountered list at unexpected size"),
        ('{"instances": [[1, 2], [1]]}', "Expecting tensor size: 2 but got: 1"),
        ('{"instances": [[[1, 2]], [[1], [2]]]}', "Expecting shape [1,2] but got: [2,1]"),
        ('{"instances": [1, {"x": 2}]}', "Expecting value/list but got object at item 1"),
        ('{"instances": [{"x": 2}, 1]}', "Expecting object but got list at item 1"),
        ('{"instances": [{"z": 2}]}', "does not have named input: z"),
        ('{"inputs": {"y": 2}}', "Missing named input: x in 'inputs' object."),
        ('{"instances": [null]}', "Type: Null is not of expected type: float"),
        ('{"instances": [true]}', "is not of expected type: float"),
        ('{"instances": [{"b64": "AA=="}]}', "is not of expected type: float"),
        ('{"instances": [' + "[" * 5000, "JSON Parse error"),
        (b'{"instances": [1.0\xff]}', "JSON Parse error"),
    ],
)
def test_single_input_errors(urls: dict[str, str], body: Any, message: str) -> None:
    """json_tensor_test: what a list of values, or an object, must look like."""
    status, answer = ask(urls[THREE], "POST", f"/v1/models/{THREE}:predict", body)
    assert status == 400 and message in answer["error"], answer


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": [1]}, "instances is a plain list, but expecting list of objects"),
        ({"instances": [{"tag": "foo"}]}, "keys must be equal to: sensor,signal,tag"),
        ({"inputs": [1]}, "inputs is a plain value/list, but expecting an object"),
        ({"inputs": {"tag": ["a"], "signal": [[1, 2, 3, 4, 5]]}}, "Missing named input: sensor"),
        ({"inputs": {**COLUMNS["inputs"], "signal": [[1.5] * 5]}}, "Type: Number is not of expected type: int64"),
        ({"inputs": {**COLUMNS["inputs"], "signal": [[2**63] * 5]}}, "is not of expected type: int64"),
        ({"inputs": {**COLUMNS["inputs"], "tag": [1, 2]}}, "is not of expected type: string"),
        ({"inputs": {**COLUMNS["inputs"], "tag": [{"b64": 1}]}}, "not formatted correctly for base64 data"),
        ({"inputs": {**COLUMNS["inputs"], "tag": [{"b64": "!"}]}}, "Unable to base64 decode"),
        ({"signature_name": "none", "instances": [1]}, 'Serving signature name: "none" not found in signature def'),
        ({"signature_name": "odd", "instances": [1.0]}, "has no shape information"),
    ],
)
def test_several_inputs_errors(urls: dict[str, str], body: Any, message: str) -> None:
    """json_tensor_test: several named inputs; and row answers without a batch dimension."""
    status, answer = ask(urls[MANY], "POST", f"/v1/models/{MANY}:predict", body)
    assert status == 400 and message in answer["error"], answer


def test_what_the_graph_refuses_is_a_400(urls: dict[str, str]) -> None:
    body = {"inputs": {**COLUMNS["inputs"], "signal": [[1, 2]]}}
    status, answer = ask(urls[MANY], "POST", f"/v1/models/{MANY}:predict", body)
    assert status == 400 and answer["error"]


def test_too_large_a_request_is_refused(urls: dict[str, str]) -> None:
    status, answer = ask(urls[THREE], "POST", f"/v1/models/{THREE}:predict", b" " * 1_000_001)
    assert status == 413 and "larger than 1000000 bytes" in answer["error"]


def test_what_is_not_offered_says_so(urls: dict[str, str]) -> None:
    status, answer = ask(urls[THREE], "POST", f"/v1/models/{THREE}:regress", {"examples": [{"x": 1.0}]})
    assert status == 501 and "does not offer regress" in answer["error"]
