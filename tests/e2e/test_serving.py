"""What the shared run pushed, asked as a client asks it: gRPC and REST against the training process's own answers."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.e2e.test_taxi import LABEL, ask_default, raw_examples, stated_error

pytestmark = pytest.mark.e2e

ROWS = 1000


@pytest.fixture(scope="module")
def rows(taxi):
    return raw_examples(taxi)[:ROWS]


@pytest.fixture(scope="module")
def expected(taxi, rows):
    """The trainer's exported model, called in this process."""
    return ask_default(taxi.artifact("Trainer", "model") / "Format-Serving", rows)


@pytest.mark.parametrize("which", ["trained", "live"])
def test_a_thousand_rows_over_grpc_and_rest_are_the_training_process_s_answers(taxi, rows, expected, which, tmp_path):
    """The trained model to the last digits; what was pushed within the error that the optimizer states for it."""
    import tensorflow as tf

    from taxiway.components.serving.requests.clients import GrpcClient, RestClient, decode_outputs
    from taxiway.components.serving.requests.from_examples import RequestBuilder
    from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions

    folder = taxi.live if which == "live" else taxi.artifact("Trainer", "model") / "Format-Serving"
    shutil.copytree(folder, tmp_path / "taxi" / "1")
    tolerance = 1e-6 if which == "trained" else stated_error(taxi) + 1e-5
    maker = RequestBuilder.from_examples([tf.train.Example.FromString(row) for row in rows], folder, LABEL)
    assert maker.signatures == ("serving_default", "serving_raw")
    with EmbeddedServer("taxi", tmp_path / "taxi", ServerOptions(rest_port=0, grpc_port=0)) as server:
        grpc = GrpcClient(f"127.0.0.1:{server.grpc_port}", "taxi")
        rest = RestClient(f"http://127.0.0.1:{server.rest_port}", "taxi")
        for signature in maker.signatures:
            inputs = maker.build_request(signature, slice(None))
            answers = grpc.predict(signature, inputs), decode_outputs(rest.predict(signature, inputs), "")
            for answer in answers:
                np.testing.assert_allclose(answer["probabilities"][:, 0], expected, atol=tolerance)
            same = answers[1]["probabilities"].astype(np.float32)
            np.testing.assert_array_equal(answers[0]["probabilities"], same, "REST loses no digit")
            np.testing.assert_array_equal(answers[0]["predicted_label"], answers[1]["predicted_label"])
