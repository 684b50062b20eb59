"""Makes the rows of a given model: some to judge variants by, others to learn ranges from and to train on."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from taxiway.components.contract import serving_model_dir
from taxiway.components.errors import UsageError
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.given_model import request_rows
from taxiway.components.optimizer.given_model.example_rows import read_examples
from taxiway.components.optimizer.given_model.parsed_examples import (
    ParsedFeature,
    decodes_images,
    find_parsed_features,
)
from taxiway.components.optimizer.given_model.random_rows import (
    RandomRows,
    Tensors,
    find_integer_limits,
    is_drawable,
    read_words,
)
from taxiway.components.optimizer.given_model.row_limits import MOST_ANSWER_BYTES, MOST_ROW_BYTES, measure_bytes
from taxiway.components.optimizer.given_model.signatures import SignatureSpec, read_signatures
from taxiway.components.optimizer.given_model.table_rows import LabelledRows, read_table, select_rows
from taxiway.components.optimizer.given_model.tensor_files import load_tensors, save_tensors
from taxiway.components.optimizer.job import GivenModel, OptimizerJob
from taxiway.components.saved_models.session import SavedModelSession

JUDGING_FILE, TUNING_FILE, LABELS_FILE = "judging_rows.npz", "tuning_rows.npz", "labels.npz"
_JUDGING, _TUNING = "judging", "tuning"
_TUNING_SHARE = 4
_SCORING_SHARE = 0.1
"""Of the budget, that scoring the rows with one model may take."""
_FEWEST_ROWS = 32
"""Scored whatever the budget: a model that takes seconds for a row is judged by these."""
_SOME_DIFFERENT = 2


@dataclass(frozen=True)
class FittedRows:
    """How many rows judge, how many may be learned from, and why there are fewer than asked for, where there are."""

    judging: int
    tuning: int
    told: str = ""


@dataclass(frozen=True)
class _OpenModel:
    """The loaded model and what its signature says."""

    session: SavedModelSession
    signature: SignatureSpec

    def answer(self, tensors: Tensors) -> Tensors:
        """All outputs of some rows."""
        return self.session.run(self.signature.name, tensors)


def write_given_rows(job: OptimizerJob, given: GivenModel, folder: str) -> dict[str, Any]:
    """Makes rows and writes them for `load_rows`, with labels where there are any.

    Returns:
        `rows` to judge by, `tuning_rows`, and `told`: what the rows are.

    Raises:
        UsageError: The rows do not fit the signature, or the model does not take them.
    """
    config = job.config
    servable = serving_model_dir(job.model)
    signature = read_signatures(servable)[given.signature]
    features = _find_features(servable, signature)
    with SavedModelSession(servable) as session:
        model = _OpenModel(session, signature)
        if given.source == "random":
            judging, tuning, told = _draw_random(model, given, features, config)
            labels: dict[str, NDArray[Any]] = {}
        else:
            rows, told = _read_rows(given, signature, features, job.label, servable)
            judging, tuning, labels, limited = _split_rows(model, rows, config)
            told = f"{told}; {limited}" if limited else told
    save_tensors(Path(folder, JUDGING_FILE), judging)
    save_tensors(Path(folder, TUNING_FILE), tuning)
    np.savez(Path(folder, LABELS_FILE), **labels)
    return {"rows": _count_rows(judging), "tuning_rows": _count_rows(tuning), "told": told}


def load_rows(folder: str, tuning: bool = False) -> Tensors:
    """The rows to judge by, or those to learn from: tensors by input."""
    return load_tensors(Path(folder, TUNING_FILE if tuning else JUDGING_FILE))


def load_labels(folder: str, tuning: bool = False) -> NDArray[np.float64] | None:
    """The labels of these rows; None where there are none."""
    name = _TUNING if tuning else _JUDGING
    with np.load(Path(folder, LABELS_FILE)) as file:
        return file[name] if name in file.files else None


def _find_features(servable: str, signature: SignatureSpec) -> list[ParsedFeature]:
    """What the signature parses of serialized examples: only one whose single input is a text can."""
    if len(signature.inputs) != 1 or not signature.text_inputs:
        return []
    return find_parsed_features(servable, _list_output_tensors(signature))


def _list_output_tensors(signature: SignatureSpec) -> list[str]:
    return [spec.tensor for spec in signature.outputs.values()]


def _draw_random(
    model: _OpenModel, given: GivenModel, features: list[ParsedFeature], config: OptimizationConfig
) -> tuple[Tensors, Tensors, str]:
    odd = [spec for spec in model.signature.inputs.values() if not is_drawable(spec)]
    if odd:
        raise UsageError(f"No rows can be drawn for the input {odd[0]}.", "Give rows: --data, --examples, --requests.")
    servable = str(model.session.folder)
    images = decodes_images(servable, _list_output_tensors(model.signature))
    rows = RandomRows(model.signature, given.shapes, read_words(servable), features, {}, config.seed, images)
    rows = dataclasses.replace(rows, limits=find_integer_limits(model.signature, rows, model.answer))
    fitted = _fit_row_count(model, rows.draw_rows(_size_trial(model)), config)
    told = [f"{fitted.judging} rows drawn at random from the signature's types and shapes"]
    told += ["texts are JPEG files"] if images else []
    told += [f"{name} from 0 to {limit - 1}" for name, limit in rows.limits.items()]
    told += [fitted.told] if fitted.told else []
    return rows.draw_rows(fitted.judging, 1), rows.draw_rows(fitted.tuning, 2), "; ".join(told)


def _read_rows(
    given: GivenModel, signature: SignatureSpec, features: list[ParsedFeature], label: str, servable: str
) -> tuple[LabelledRows, str]:
    if given.source == "data":
        rows = read_table(given.path, signature, features, label)
    elif given.source == "examples":
        rows = read_examples(given.path, signature, features, label)
    elif given.source == "requests":
        rows = request_rows.read_requests(given.path, signature)
    else:
        rows = request_rows.read_requests(Path(servable, request_rows.WARMUP_FILE), signature)
    kinds = {"requests": "recorded requests of", "warmup": "the warm-up requests in the model"}
    told = kinds.get(given.source, "rows of")
    told = told if given.source == "warmup" else f"{told} {given.path}"
    return rows, f"{told}; {rows.told}" if rows.told else told


def _split_rows(
    model: _OpenModel, rows: LabelledRows, config: OptimizationConfig
) -> tuple[Tensors, Tensors, dict[str, NDArray[Any]], str]:
    """Rows to judge by and others, drawn at random; where there are few, half of them are for each. And what is said of
    their number, where it is less than was asked for."""
    available = _count_rows(rows.tensors)
    order = np.random.default_rng(config.seed).permutation(available)
    trial = order[np.arange(_size_trial(model)) % available]
    fitted = _fit_row_count(model, select_rows(rows.tensors, trial), config)
    half = max(available // 2, 1)
    count = min(fitted.judging, half)
    told = (
        f"{half} of the {available} rows judge, and nothing learns from those" if half < fitted.judging else fitted.told
    )
    judging, tuning = order[:count], order[count : count + fitted.tuning]
    judging, tuning = (_fill_calls(model, each) for each in (judging, tuning if len(tuning) else judging))
    labels = {_JUDGING: rows.labels[judging], _TUNING: rows.labels[tuning]} if rows.labels is not None else {}
    return select_rows(rows.tensors, judging), select_rows(rows.tensors, tuning), labels, told


def _fill_calls(model: _OpenModel, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows, some of them again where the signature fixes how many a call takes."""
    fixed = model.signature.fixed_rows or 1
    return np.resize(rows, -(-len(rows) // fixed) * fixed)


def _size_trial(model: _OpenModel) -> int:
    return model.signature.fixed_rows or _SOME_DIFFERENT


def _fit_row_count(model: _OpenModel, trial: Tensors, config: OptimizationConfig) -> FittedRows:
    """How many rows can be scored in a share of the budget and held in memory; the model is called with some, and must
    answer as many.

    Raises:
        UsageError: it does not take the rows, or takes them for something else than rows.
    """
    _check_answers(model, trial)
    began = time.perf_counter()
    answers = model.answer(trial)
    rows = _count_rows(trial)
    seconds = max((time.perf_counter() - began) / rows, 1e-7)
    fixed = model.signature.fixed_rows or 1
    return fit_rows(config, seconds, measure_bytes(trial) / rows, measure_bytes(answers) / rows, fixed)


def fit_rows(
    config: OptimizationConfig, seconds: float, row_bytes: float, answer_bytes: float, fixed: int
) -> FittedRows:
    """The numbers of rows that time and memory allow.

    Args:
        config: Configuration with budget and rows that are asked for.
        seconds: Seconds that the original takes for a row.
        row_bytes, answer_bytes: Bytes of a row, and of all outputs for it.
        fixed: Rows a call, where the signature fixes them; else 1.
    """
    in_memory = min(MOST_ROW_BYTES / max(row_bytes, 1.0), MOST_ANSWER_BYTES / max(answer_bytes, 1.0))
    in_time = max(_SCORING_SHARE * config.budget_seconds / seconds, _FEWEST_ROWS)
    judging = _round_down(min(config.quality_rows, in_time, in_memory), fixed)
    tuning = _round_down(min(_TUNING_SHARE * judging, MOST_ROW_BYTES / max(row_bytes, 1.0)), fixed)
    told = ""
    if judging < config.quality_rows - fixed:
        bound = f"rows of {row_bytes / 1e6:,.2f} MB and answers of {answer_bytes / 1e6:,.2f} MB"
        told = (
            f"the budget of {config.budget_seconds:g} s allows no more of the {config.quality_rows} asked for"
            if in_time < in_memory
            else f"of {bound}, no more of the {config.quality_rows} asked for are held in memory"
        )
    return FittedRows(judging, tuning, told)


def _round_down(count: float, fixed: int) -> int:
    return max(int(count) // fixed, 1) * fixed


def _check_answers(model: _OpenModel, trial: Tensors) -> None:
    split = model.signature.find_split_inputs()
    try:
        outputs = model.answer(trial)
    except (tf.errors.OpError, ValueError, TypeError) as error:
        if split:
            raise UsageError(f"The signature {model.signature.name!r} cannot be optimized: {split}.") from error
        first = str(error).strip().splitlines()[0]
        raise UsageError(
            f"The model does not take the rows: {first}",
            "Give rows that it takes (--data, --examples or --requests), or their shape (--shape).",
        ) from error
    rows = _count_rows(trial)
    counts = {name: values.shape[0] if values.ndim else 0 for name, values in outputs.items()}
    if any(count != rows for count in counts.values()):
        if split:
            raise UsageError(f"The signature {model.signature.name!r} cannot be optimized: {split}.")
        raise UsageError(
            f"The signature {model.signature.name!r} does not answer row by row: {rows} rows gave {counts}.",
            "Variants are compared and timed by rows; give a signature whose inputs and outputs begin with the batch.",
        )


def _count_rows(tensors: Tensors) -> int:
    return len(next(iter(tensors.values())))
