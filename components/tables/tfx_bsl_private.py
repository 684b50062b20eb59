"""What reading and writing `tf.Example`s takes of tfx_bsl beyond its public API. No other module names it.

Where a release of tfx_bsl has moved a part, these functions raise a `TaxiwayError` that says so;
`tests/components/tables/test_tfx_bsl_private.py` finds it before users do. tfx_bsl is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from taxiway.components.private_parts import find_private_part

_CODER_MODULE = "tfx_bsl.coders.example_coder"


def make_example_decoder() -> Callable[[Sequence[bytes]], pa.RecordBatch]:
    """From serialized `tf.Example`s to a batch of list columns.

    Missing in tfx_bsl's public API: `tfxio.TFExampleRecord` decodes inside of a Beam pipeline or a `tf.data.Dataset`
    alone.
    """
    decoder = _find_coder("ExamplesToRecordBatchDecoder")()
    return lambda records: decoder.DecodeBatch(list(records))


def encode_examples(examples: pa.RecordBatch) -> list[bytes]:
    """From a batch of list columns to serialized `tf.Example`s. Several threads may call it.

    tfx_bsl's public name, `tfxio.RecordBatchToExamplesEncoder`, is this class; importing it loads Beam.
    """
    encoder = _find_coder("RecordBatchToExamplesEncoder")()  # a new one: an encoder is not shared by threads
    encoded: list[bytes] = encoder.encode(examples)
    return encoded


def _find_coder(name: str) -> Any:
    return find_private_part(_CODER_MODULE, name, __name__)
