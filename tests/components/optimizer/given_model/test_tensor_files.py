"""Tensors in a file come back as they were."""

from __future__ import annotations

import numpy as np

from taxiway.components.optimizer.given_model.tensor_files import load_tensors, save_tensors


def test_texts_of_any_bytes_and_numbers_come_back(tmp_path):
    texts = np.array([[b"", b"a\0b\0"], ["é".encode(), b"\xff"]], object)
    numbers = np.arange(6, dtype=np.int32).reshape(2, 3)
    save_tensors(tmp_path / "rows.npz", {"text:s": texts, "n": numbers})
    back = load_tensors(tmp_path / "rows.npz")
    assert back["text:s"].tolist() == texts.tolist()
    assert back["n"].dtype == np.int32
    assert back["n"].tolist() == numbers.tolist()
