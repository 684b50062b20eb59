"""A technique: the weights of a servable, rounded to a few binary digits, which a compressed disk or transfer likes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from taxiway import CandidateModel, Check, Refusal, Technique, TechniqueContext, TechniqueSpec

SPEC = TechniqueSpec(name="rounded", module="own_parts.rounded:TECHNIQUE", stage="precision")
KEPT_BITS = 10
VARIABLES = "variables/variables"


def find_refusal(context: TechniqueContext, candidate: CandidateModel) -> Refusal | None:
    """Why the technique cannot be applied: a frozen model has no variables."""
    if Path(candidate.servable, f"{VARIABLES}.index").is_file():
        return None
    return Refusal("it rounds variables, and this model has none")


def round_weights(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> None:
    """Copies the servable and rounds the float variables of the copy."""
    import tensorflow as tf

    shutil.copytree(candidate.servable, target.servable)
    prefix = str(Path(target.servable, VARIABLES))
    reader = tf.train.load_checkpoint(prefix)
    names = sorted(reader.get_variable_to_dtype_map())
    values = [reader.get_tensor(name) for name in names]
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(_round(value)) for value in values],
    )


def _round(value: np.ndarray | bytes) -> np.ndarray | bytes:
    if isinstance(value, bytes) or value.dtype != np.float32:  # the checkpoint's list of objects is text
        return value
    mantissa, exponent = np.frexp(value)
    return np.ldexp(np.round(mantissa * 2**KEPT_BITS) / 2**KEPT_BITS, exponent).astype(np.float32)


def check_rounded(context: TechniqueContext, candidate: CandidateModel, target: CandidateModel) -> list[Check]:
    """Reads the written weights: rounding them again changes nothing."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(Path(target.servable, VARIABLES)))
    floats = [
        reader.get_tensor(name) for name, kind in reader.get_variable_to_dtype_map().items() if kind == tf.float32
    ]
    passed = bool(floats) and all(np.array_equal(_round(value), value) for value in floats)
    return [Check(name="rounded weights", passed=passed, detail=f"{len(floats)} variables of {KEPT_BITS} bits")]


TECHNIQUE = Technique(name="rounded", pre_check=find_refusal, transform=round_weights, post_check=check_rounded)
