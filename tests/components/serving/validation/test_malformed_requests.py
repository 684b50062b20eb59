"""How many rows one large request of the validation has."""

from __future__ import annotations

import numpy as np
import pytest

from taxiway.components.serving.protocol.limits import Limits
from taxiway.components.serving.validation.malformed_requests import MANY_ROWS, repeat_row


@pytest.mark.parametrize(
    ("row_bytes", "rows"), [(0, MANY_ROWS), (300, MANY_ROWS), (48_000, 1_000), (10 * Limits.request_bytes, 1)]
)
def test_many_rows_fit_into_a_message_that_servers_take(row_bytes: int, rows: int) -> None:
    """A row of 1,500 columns has about 70 kB: ten thousand of them are no request that anybody may send."""
    request = repeat_row(np.array([b"x" * row_bytes], object))
    assert len(request) == rows
