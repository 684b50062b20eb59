"""Answers of two trained models, in turn: `python -m tests.bench.kind_latency ROOT OTHER_ROOT [rounds]`.

The roots are those of two runs on the same data, as far as the Trainer, such as
`taxiway run --root wide --to Trainer --set model.kind=wide_and_deep` and one with `model.kind=tabular`. Both models
answer the same rows in one process, one thread each, in turn, as TensorFlow Serving runs them (`serving_raw` and, of
serialized examples, `serving_default`). What is counted is CPU time, which is the latency where nothing else runs: on a
shared machine a wait for the processor says nothing of a model.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BATCHES, CALLS, WARM_UP = (1, 32, 256), 10, 5


def main(root: str, other_root: str, rounds: str = "100") -> None:
    """Runs the rounds and prints, by signature and rows, CPU milliseconds of both and the ratio of each round."""
    models = [TrainedModel(Path(each), Path(root)) for each in (root, other_root)]
    for signature in ("serving_raw", "serving_default"):
        for rows in BATCHES:
            calls = [model.bind_call(signature, rows) for model in models]
            seconds = np.array([_time_round(calls, number) for number in range(-WARM_UP, int(rounds))])[WARM_UP:]
            ratios = np.quantile(seconds[:, 1] / seconds[:, 0], [0.5, 0.25, 0.75])
            first, second = np.median(seconds, axis=0) * 1e3
            print(f"{signature}, {rows} rows: {first:.3f} ms, {second:.3f} ms; "
                  f"ratio {ratios[0]:.2f} (quartiles {ratios[1]:.2f} to {ratios[2]:.2f})", flush=True)  # fmt: skip


class TrainedModel:
    """The model under a root, with the first rows that another root's data holds out."""

    def __init__(self, root: Path, data_root: Path) -> None:
        from taxiway.components.contract import serving_model_dir
        from taxiway.components.saved_models.session import SavedModelSession
        from taxiway.components.serving.requests import from_examples

        *_, model = sorted((root / "artifacts" / "Trainer" / "model").iterdir())
        folder = serving_model_dir(str(model))
        files = sorted((data_root / "artifacts" / "ExampleGen").rglob("Split-test/*.gz"))
        rows = from_examples.read_examples(files, max(BATCHES))
        self.requests = from_examples.RequestBuilder.from_examples(rows, folder, "")
        self.session = SavedModelSession(folder, threads=1)

    def bind_call(self, signature: str, rows: int) -> Callable[[], Any]:
        """A call on the first rows."""
        tensors = self.requests.build_request(signature, slice(0, rows))
        output = self.session.bind_output(signature, "probabilities")
        arrays = [tensors[name] for name in output.inputs]
        return lambda: output(*arrays)


def _time_round(calls: list[Callable[[], Any]], number: int) -> list[float]:
    """CPU seconds of a call of each model; the order changes from round to round."""
    seconds = [0.0, 0.0]
    for place in (0, 1) if number % 2 else (1, 0):
        calls[place]()
        started = time.process_time()
        for _ in range(CALLS):
            calls[place]()
        seconds[place] = (time.process_time() - started) / CALLS
    return seconds


if __name__ == "__main__":
    main(*sys.argv[1:])
