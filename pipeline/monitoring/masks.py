"""Which columns a window's log does not hold as they were sent: by what its records say, not by a later push."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from taxiway.components.monitoring.window import RequestWindow
from taxiway.components.saved_models.signature_inputs import SignatureInput
from taxiway.components.serving.config import RequestLogConfig
from taxiway.components.serving.request_log.logged_mask import LoggedMask

DROPPED = "not logged (serving.request_log.drop_columns)"
HASHED = "logged as hashes (serving.request_log.hash_columns)"
_HASH = re.compile(rb"[0-9a-f]{32}")


def find_masked_columns(
    masks: Mapping[LoggedMask | None, int],
    config: RequestLogConfig,
    inputs: Mapping[str, SignatureInput],
    window: RequestWindow,
) -> dict[str, str]:
    """Reason by column; names of inputs mean their columns.

    Args:
        masks: Requests by the mask that their record names; None: it names none, as another server's, or one of an
            earlier Taxiway.
        config: Settings of the last push, which such records are compared with.
        inputs: The version's tensors of `serving_raw`.
        window: The rows.
    """
    aliases = {alias: entry.column for alias, entry in inputs.items()}
    dropped, hashed = Counter[str](), Counter[str]()
    for mask, requests in masks.items():
        for names, counted in ((mask.dropped, dropped), (mask.hashed, hashed)) if mask else ():
            for name in names:
                counted[aliases.get(name, name)] += requests
    silent = masks.get(None, 0)
    if silent:
        columns = [aliases.get(name, name) for name in config.drop_columns]
        dropped.update({name: silent for name in columns if name not in window.columns})
        columns = [aliases.get(name, name) for name in config.hash_columns]
        hashed.update({name: silent for name in columns if _holds_hashes(window, name)})
    total = sum(masks.values())
    return {name: _describe(HASHED, count, total) for name, count in hashed.items()} | {
        name: _describe(DROPPED, count, total) for name, count in dropped.items()
    }


def _describe(words: str, requests: int, total: int) -> str:
    return words if requests >= total else f"{words} in {requests:,} of {total:,} requests"


def _holds_hashes(window: RequestWindow, column: str) -> bool:
    if column not in window.columns or not window.is_text(column):
        return column in window.unreadable
    return all(_HASH.fullmatch(value) for value in window.columns[column].flatten().to_pylist() if value)
