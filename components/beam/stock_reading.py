"""Reads of TFX's own components, spread over the workers of an engine. tfx_bsl is imported when it is asked for.

Transform, Evaluator and whatever else reads examples through `tfx_bsl.tfxio` get all files of a pattern in one subtask
of Flink. Where a release of tfx_bsl has moved what is changed, `spread_stock_reads` raises a `TaxiwayError` that says
so; `tests/components/beam/test_stock_reading.py` finds it before users do.
"""

from __future__ import annotations

import importlib
from typing import Any

from taxiway.components.private_parts import find_private_part

_MODULE, _NAME = "tfx_bsl.tfxio.record_based_tfxio", "ReadTfRecord"


def spread_stock_reads() -> None:
    """Makes `tfxio` sources of TFRecords, in this process, read each file as an element of its own. Again is harmless.

    Missing in tfx_bsl's public API: a way to give `TFExampleRecord` another source of records. TFX's executors make it
    themselves.

    Raises:
        TaxiwayError: tfx_bsl reads records by another function.
    """
    from taxiway.components.beam.shards import ReadRecords

    setattr(_find_module(), _NAME, ReadRecords)


def _find_module() -> Any:
    find_private_part(_MODULE, _NAME, __name__)
    return importlib.import_module(_MODULE)
