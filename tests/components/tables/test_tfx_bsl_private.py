"""The coders of `tf.Example` are where they are looked for."""

from __future__ import annotations

import pyarrow as pa
import pytest

from taxiway.components.errors import TaxiwayError
from taxiway.components.stack_seam import name_lock
from taxiway.components.tables import tfx_bsl_private


def test_what_is_encoded_is_decoded() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([[1], []]), pa.array([[b"x"], [b"y"]])], names=["n", "t"])
    records = tfx_bsl_private.encode_examples(batch)
    decoded = tfx_bsl_private.make_example_decoder()(records)
    assert decoded.to_pydict() == {"n": [[1], []], "t": [[b"x"], [b"y"]]}


def test_the_encoder_is_the_public_one() -> None:
    from tfx_bsl.public.tfxio import RecordBatchToExamplesEncoder

    assert tfx_bsl_private._find_coder("RecordBatchToExamplesEncoder") is RecordBatchToExamplesEncoder


def test_a_coder_that_is_gone_is_named_with_what_to_do() -> None:
    with pytest.raises(TaxiwayError, match=r"no tfx_bsl.coders.example_coder.NoSuchCoder") as raised:
        tfx_bsl_private._find_coder("NoSuchCoder")
    assert name_lock() in raised.value.remedy
