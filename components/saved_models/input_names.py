"""Names of the inputs of `serving_raw`: the exporter gives them, clients find a column's input by them."""

from __future__ import annotations

import hashlib
import keyword
import re
import unicodedata

_ALLOWED = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,199}")
_RESERVED = frozenset({"self", "b64"})
"""`self` is no argument of a TensorFlow function; `{"b64": ...}` is a string of bytes in TensorFlow Serving's JSON."""
_HASH_DIGITS = 10
_HASHED = re.compile(rf"__[0-9a-f]{{{_HASH_DIGITS}}}$")
_LONGEST = 40
"""Characters of a column's name that stand before its hash."""


def make_input_name(column: str) -> str:
    """The tensor's name of a column. It depends on the column alone, whatever other columns there are.

    The column's own name where TensorFlow and Python allow it: ASCII letters, digits and underscores, a letter first.
    Else what is left of it in ASCII, two underscores and ten hex digits of its hash. A column that looks like such a
    name gets one too, so that no two columns share a name.
    """
    if _ALLOWED.fullmatch(column) and not (column in _RESERVED or keyword.iskeyword(column) or _HASHED.search(column)):
        return column
    plain = "".join(c for c in unicodedata.normalize("NFKD", column.lower()) if not unicodedata.combining(c))
    readable = re.sub(r"[^a-z0-9]+", "_", plain)[:_LONGEST].strip("_") or "column"
    readable = readable if readable[0].isalpha() else f"c_{readable}"
    digest = hashlib.sha256(column.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{readable}__{digest[:_HASH_DIGITS]}"
