"""Tensors in a file of the working folder: numbers as they are, texts as bytes behind one another. Plain numpy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TEXT, _LENGTHS, _SHAPE = "text:", "lengths:", "shape:"


def save_tensors(path: str | Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Writes tensors by name; of objects, which are bytes, their content and their lengths."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, values in tensors.items():
        if values.dtype == object:
            flat = [bytes(value) for value in values.ravel()]
            arrays[_TEXT + name] = np.frombuffer(b"".join(flat), np.uint8)
            arrays[_LENGTHS + name] = np.array([len(value) for value in flat], np.int64)
            arrays[_SHAPE + name] = np.array(values.shape, np.int64)
        else:
            arrays[":" + name] = values
    np.savez(path, **arrays)  # type: ignore[arg-type]


def load_tensors(path: str | Path) -> dict[str, NDArray[Any]]:
    """The tensors that `save_tensors` wrote."""
    with np.load(path) as file:
        tensors = {key[1:]: file[key] for key in file.files if key.startswith(":")}
        for key in file.files:
            if key.startswith(_TEXT):
                name = key.removeprefix(_TEXT)
                tensors[name] = _cut_texts(file[key], file[_LENGTHS + name]).reshape(file[_SHAPE + name])
        return tensors


def _cut_texts(content: NDArray[np.uint8], lengths: NDArray[np.int64]) -> NDArray[Any]:
    ends = np.cumsum(lengths)
    texts = np.empty(len(lengths), object)
    data = content.tobytes()
    for i, (length, end) in enumerate(zip(lengths, ends, strict=True)):
        texts[i] = data[end - length : end]
    return texts
