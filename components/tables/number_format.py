"""How numbers are written as text, shown by an example: `1.234,5 €` is 1234.5. Nothing heavy is imported here."""

from __future__ import annotations

import re
from dataclasses import dataclass

SPACE = "[ \\t\u00a0\u202f]"
_SPACES = " \u00a0\u202f"
_APOSTROPHES = "'\u2019"
_MINUS = "\\-\u2212"
_EXAMPLE = re.compile(
    rf"(?P<before>[^\d(]*?){SPACE}*"
    r"(?:1(?P<thousands>[.,'\u2019 \u00a0\u202f_])234(?:(?P<decimal>[.,])\d+)?|\d+(?:(?P<only_decimal>[.,])\d+)?)"
    rf"(?P<after>[^\d)]*)"
)


@dataclass(frozen=True)
class NumberFormat:
    """A way to write numbers.

    Attributes:
        decimal: The mark before the fraction, `.` or `,`.
        thousands: The mark between groups of three digits, or nothing. A space is any space.
        before, after: A currency, unit or percent sign, without the spaces around it. A value may lack it, but for
            the percent sign: 0.5 among 50 % may be the half or the two-hundredth.
    """

    decimal: str = "."
    thousands: str = ""
    before: str = ""
    after: str = ""

    @property
    def pattern(self) -> str:
        """A regular expression (of RE2 and of Python) that the whole text must match; group 1 is the bare number."""
        digits = r"\d+"
        if self.thousands:
            mark = _make_character_class(self.thousands)
            digits = rf"(?:\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}|\d+)"
        fraction = re.escape(self.decimal)
        body = rf"{digits}(?:{fraction}\d*)?|{fraction}\d+"
        if not (self.before or self.after):
            body = rf"(?:{body})(?:[eE][+-]?\d+)?"
        before, after = _make_optional(self.before), _make_optional(self.after)
        return (
            rf"^{SPACE}*[+{_MINUS}]?{SPACE}*{before}{SPACE}*[+{_MINUS}(]?{SPACE}*{before}{SPACE}*"
            rf"({body}){SPACE}*{after}{SPACE}*[){_MINUS}]?{SPACE}*{after}{SPACE}*$"
        )

    @property
    def negative_pattern(self) -> str:
        """What the text of a negative number holds: -1, (1) or 1-."""
        return rf"^[^\d]*[{_MINUS}(]|\d[^\deE]*[{_MINUS}]{SPACE}*[^\d]*$"

    @property
    def example(self) -> str:
        """The text that means this format in `data.types`."""
        whole = f"1{self.thousands}234" if self.thousands else "1"
        gap = " " if self.after and self.after != "%" else ""
        return f"{self.before}{whole}{self.decimal}5{gap}{self.after}"


def _make_character_class(mark: str) -> str:
    family = next((f for f in (_SPACES, _APOSTROPHES) if mark in f), mark)
    return f"[{family}]"


def _make_optional(affix: str) -> str:
    escaped = re.escape(affix).replace("\\ ", " ")  # RE2 knows no escaped space
    return f"(?:{escaped})?" if affix else ""


def parse_format(example: str) -> NumberFormat | None:
    """The format that an example such as `1.234,5`, `$1,234.5` or `1.5%` shows; None if it shows none."""
    match = _EXAMPLE.fullmatch(example.strip())
    if match is None:
        return None
    thousands = match["thousands"] or ""
    decimal = match["decimal"] or match["only_decimal"] or ("," if thousands == "." else ".")
    if thousands == decimal:
        return None
    return NumberFormat(decimal, thousands, match["before"].strip(), match["after"].strip(_SPACES + "\t"))
