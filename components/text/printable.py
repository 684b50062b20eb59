"""Makes text from outside (names of columns, cells, paths) safe to show: control characters are seen, not obeyed.

A terminal obeys escape sequences, marks of direction change the order in which characters are seen, and plotly
interprets some HTML in every label.
"""

from __future__ import annotations

import html
import re
import unicodedata

_JOINERS = "\u200c\u200d"
"""They are invisible, but words of several scripts and many emoji need them."""
_SUSPECT = re.compile(r"[^ -~]")


def escape_text(text: str) -> str:
    """The text on one line, with control characters, marks of direction and line ends written as escapes."""
    return _SUSPECT.sub(_escape_character, text)


def escape_multiline(text: str) -> str:
    """As `escape_text` for a text of several lines: line ends and tabs stay."""
    return _SUSPECT.sub(lambda found: found[0] if found[0] in "\n\t" else _escape_character(found), text)


def escape_chart_label(text: str) -> str:
    """A text for plotly, which interprets tags, entities and, with MathJax, formulas."""
    return html.escape(escape_text(text)).replace("$", "&#36;")


def _escape_character(match: re.Match[str]) -> str:
    character = match[0]
    kind = unicodedata.category(character)
    if kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and character not in _JOINERS):
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character
