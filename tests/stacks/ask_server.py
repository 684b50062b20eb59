"""Run on a stack: serves a folder of versions, asks it over both protocols, and prints the probabilities as JSON.

python -m tests.stacks.ask_server SERVING/MODEL EXAMPLES LABEL ROWS
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path

import numpy as np


def ask_over_both(base: Path, examples: Path, label: str, rows: int) -> dict[str, list[list[float]]]:
    """The first rows' probabilities, by protocol and signature."""
    import tensorflow as tf

    from taxiway.components.serving.requests.clients import GrpcClient, RestClient, decode_outputs
    from taxiway.components.serving.requests.from_examples import RequestBuilder
    from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions

    newest = max((path for path in base.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    records = tf.data.TFRecordDataset(sorted(map(str, examples.glob("*.gz"))), compression_type="GZIP")
    parsed = [tf.train.Example.FromString(record.numpy()) for record in islice(records, rows)]
    builder = RequestBuilder.from_examples(parsed, newest, label)
    answers = {}
    with EmbeddedServer(base.name, base, ServerOptions(rest_port=0, grpc_port=0)) as server:
        grpc = GrpcClient(f"127.0.0.1:{server.grpc_port}", base.name)
        rest = RestClient(f"http://127.0.0.1:{server.rest_port}", base.name)
        for signature in builder.signatures:
            inputs = builder.build_request(signature, slice(None))
            told = {
                "grpc": grpc.predict(signature, inputs),
                "rest": decode_outputs(rest.predict(signature, inputs), ""),
            }
            answers |= {f"{by} {signature}": np.asarray(out["probabilities"]).tolist() for by, out in told.items()}
    return answers


if __name__ == "__main__":
    print(json.dumps(ask_over_both(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))))
