"""Text of others (names of columns, cells, paths) made fit to be shown: what it holds is seen, not obeyed.

A terminal obeys escape sequences, a reader's eye is led by marks that turn the direction of writing, and plotly reads
some HTML in every label.
"""

from __future__ import annotations

import html
import re
import unicodedata

_JOINERS = "\u200c\u200d"
"""Invisible, but words of several scripts and many emoji need them."""
_SUSPECT = re.compile(r"[^ -~]")


def visible(text: str) -> str:
    """A text of one line in which control characters, marks of direction and line ends are written as escapes."""
    return _SUSPECT.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """The same for a text of several lines, whose line ends and tabs stay."""
    return _SUSPECT.sub(lambda found: found[0] if found[0] in "\n\t" else _escaped(found), text)


def chart_label(text: str) -> str:
    """A text for plotly, which takes tags, entities and, with MathJax, formulas for what they are."""
    return html.escape(visible(text)).replace("$", "&#36;")


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    kind = unicodedata.category(character)
    if kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and character not in _JOINERS):
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character
