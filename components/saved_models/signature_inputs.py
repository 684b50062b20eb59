"""The file beside a model that says which raw column each tensor of `serving_raw` takes. Imports no TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.contract import SIGNATURE_INPUTS_FILE
from taxiway.components.errors import ServingError


@dataclass(frozen=True)
class SignatureInput:
    """One tensor of `serving_raw`.

    Attributes:
        column: The raw column it takes.
        dtype: The dtype's name.
        default: Value that stands for a missing one; None where the column is required.
        shape: Shape of one row, `()` for one value. The file does not have it, the SavedModel does.
    """

    column: str
    dtype: str
    default: Any
    shape: tuple[int, ...] = ()


def read_signature_inputs(model_dir: str | Path) -> dict[str, SignatureInput]:
    """The tensors of `serving_raw`, by name; empty where the model has no such file.

    Raises:
        ServingError: The file is not what the exporter writes.
    """
    path = Path(model_dir, SIGNATURE_INPUTS_FILE)
    try:
        inputs = json.loads(path.read_text(encoding="utf-8"))["inputs"]
        return {str(name): SignatureInput(e["column"], e["dtype"], e["default"]) for name, e in inputs.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise ServingError(f"{path} cannot be read: {error!r}.", "Export the model again.") from error


def map_column_dtypes(inputs: Mapping[str, SignatureInput]) -> dict[str, str]:
    """The dtype's name of each column that the model takes."""
    return {entry.column: entry.dtype for entry in inputs.values()}
