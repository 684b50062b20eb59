"""Which columns hold numbers that are written with other marks, or with signs of money, percent or units."""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from components.example_gen.config import DataConfig
from components.example_gen.words import NUMBER_SHARE, PLAIN, Finding, Words, is_mark
from components.tables.number_format import NumberFormat, parse_format

MIN_FORMATTED = 3
"""Fewer different words show no way to write numbers."""
MAX_TRIED = 500
"""Words on which ways to write numbers are tried."""
_SEPARATORS = ("1,5", "1.234,5", "1,234.5", "1 234,5", "1 234.5", "1'234.5", "1'234,5", "1.5")
_CURRENCY = re.compile(
    r"^(?:[A-Z]{1,3})?[$€£¥₹₽₩₺₪฿₫₴¢]$|^(?:USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|RUB|TRY|"
    r"ZAR|KRW|Kč|zł|kr|kr\.|Rs|Rs\.|Fr\.|SFr\.|DM|R\$)$"
)
_BEFORE = re.compile(r"^\s*[-+(\u2212]*\s*([^\d\s.,()+\-\u2212]+\.?)\s*[-+(\u2212]*\s*[\d.,]")
_LONGEST_NUMBER = 200
_AFTER = re.compile(r"[\d.,](\s*)([^\d\s.,()+\-\u2212][^\d()]{0,11}?)\s*[)\-]?\s*$")


def number_formats(words: Mapping[str, Words], data: DataConfig, findings: list[Finding], label: str) -> dict[str, str]:
    """Types of columns whose numbers are written with other marks or signs."""
    decimal_comma = any(
        _best_format(each, comma=True) in ("1,5", "1.234,5") and _has_clear_comma(each) for each in words.values()
    )
    found = {}
    for name, each in words.items():
        if name in data.types or each.typed or (name == label and not _is_plainly_numeric(each)):
            continue
        form = _best_format(each, decimal_comma)
        if decimal_comma and not form and _is_thousands_of_points(each):
            form = "1.234,5"
        if not form:
            continue
        found[name] = _typed(form, each)
        findings.append(Finding(f"data.types ({name})", _about_format(name, form, each)))
    return found


def _is_plainly_numeric(words: Words) -> bool:
    """Whether a label's words are many: with a few, such as `<50%` and `50%`, they are classes."""
    return len(words.odd) > 20


def _has_clear_comma(words: Words) -> bool:
    """Whether some comma cannot stand between thousands."""
    return any(re.search(r"\d,\d{1,2}(\D|$)|\d,\d{4,}|(^|\D)0+,\d", word) for word in list(words.odd)[:300])


def _is_thousands_of_points(words: Words) -> bool:
    return not words.odd and words.three > 0 and words.three == words.plain - words.whole and words.greatest < 1000


def _typed(form: str, words: Words) -> str:
    number = parse_format(form)
    fraction = number is None or number.before or number.after or any(_has_fraction(w, number) for w in words.odd)
    if fraction or (words.whole < words.plain and form != "1.234,5"):
        return f"float:{form}"
    return f"int:{_whole(number)}" if number and number.thousands else f"float:{form}"


def _whole(number: NumberFormat) -> str:
    return f"1{number.thousands}234"


def _has_fraction(word: str, number: NumberFormat) -> bool:
    return re.search(rf"{re.escape(number.decimal)}\d", word) is not None


def _about_format(name: str, form: str, words: Words) -> str:
    texts = [word for word in words.odd if fits(word, form)][:2] or [f"{words.least:.3f}"]
    number = parse_format(form)
    shown = " and ".join(repr(text[:30]) for text in texts) + (" are" if len(texts) > 1 else " is")
    doubt = ""
    if number and number.thousands == "," and not _has_two_marks(words):
        doubt = f" (a comma between thousands; were it a decimal comma: {name}: 'float:1,5')"
    sign = " without their sign" if number and (number.before or number.after) else ""
    if form == "1.5":
        return f"{name}: {shown} read as negative numbers"
    return f"{name}: {shown} read as numbers{sign}, in the format {form}{doubt}"


def _has_two_marks(words: Words) -> bool:
    return any(word.count(",") > 1 or ("," in word and "." in word) for word in words.odd)


def _best_format(words: Words, comma: bool) -> str:
    """The example of the format that nearly all values are written in; empty for plain numbers and for text."""
    texts = dict(itertools.islice(((w, n) for w, n in words.odd.items() if not is_mark(w)), MAX_TRIED))
    if not texts or (words.codes and not comma) or len(texts) < MIN_FORMATTED:
        return ""
    scale = 1.0
    if len(texts) == MAX_TRIED:  # the words that were tried stand for all
        scale = sum(n for w, n in words.odd.items() if not is_mark(w)) + words.more
        scale /= sum(texts.values())
    total = words.plain + scale * sum(texts.values())
    if words.plain >= NUMBER_SHARE * total and not any(ch in word for word in texts for ch in ",'$€£%()\u2212"):
        return ""
    best, most = "", 0.0
    for form in _candidates(texts):
        fitting: float = sum(n for word, n in texts.items() if fits(word, form))
        if not fitting or not _is_sound(form, texts, words, comma):
            continue
        fitting = scale * fitting + _plain_fitting(form, words)
        if fitting > most:
            best, most = form, fitting
    return best if most >= NUMBER_SHARE * total else ""


def _plain_fitting(form: str, words: Words) -> int:
    """How many of the plain numbers are numbers of this format too."""
    number = parse_format(form)
    if number is None or "%" in (number.before, number.after):
        return 0
    return words.whole if number.decimal == "," else words.plain


def _candidates(texts: Mapping[str, int]) -> Iterator[str]:
    """Formats with the usual marks, alone and with the signs that stand before and after most values."""
    befores = {"", *_common(_BEFORE, texts, 1)} - {None}
    afters = {"", *_common(_AFTER, texts, 2)}
    signs = [(b, a) for b in befores for a in afters if _is_sign(b, a, texts)]
    for form in _SEPARATORS:
        for before, after in sorted(signs, key=lambda pair: len(pair[0] + pair[1])):
            number = parse_format(form)
            if number:
                example = NumberFormat(number.decimal, number.thousands, before, after).example
                yield form if not (before or after) else example


def _common(pattern: re.Pattern[str], texts: Mapping[str, int], group: int) -> set[str]:
    counted: Counter[str] = Counter()
    for text, count in texts.items():
        match = pattern.search(text) if len(text) <= _LONGEST_NUMBER else None  # the patterns take time squared
        if match:
            counted[match[group].strip()] += count
    return {sign for sign, count in counted.items() if count > 0.5 * sum(texts.values())}


def _is_sign(before: str, after: str, texts: Mapping[str, int]) -> bool:
    """Whether signs are of money or percent, or a unit after numbers that vary; Q1 and 3rd are names."""
    if before and not _CURRENCY.match(before):
        return False
    if not after or after == "%" or _CURRENCY.match(after):
        return True
    if not after[0].isalpha() and after[0] not in "°µ":
        return False
    apart = sum(bool(re.search(r"\d\s+\S", text)) for text in texts) > 0.9 * len(texts)
    fractions = any(re.search(r"\d[.,]\d", text) for text in texts)
    return len(texts) >= 5 and (apart or fractions)


def _is_sound(form: str, texts: Mapping[str, int], words: Words, comma: bool) -> bool:
    """Whether marks between thousands are that: no leading zero, no longer number without them, no phone numbers."""
    number = parse_format(form)
    fitting = [text for text in texts if fits(text, form)]
    if number is None:
        return False
    if not number.thousands:
        return number.decimal != "," or comma or _has_clear_comma(words) or not _are_thousands(fitting, ",", words)
    mark = (
        "[ \u00a0\u202f]"
        if number.thousands == " "
        else "['\u2019]"
        if number.thousands == "'"
        else f"[{number.thousands}]"
    )
    if not any(re.search(rf"\d{mark}\d{{3}}(?!\d)", text) for text in fitting):
        return False
    if number.thousands == "," and comma and not _has_two_marks(words):
        return False
    return _are_thousands(fitting, number.thousands, words) and not _are_phone_numbers(fitting)


def _are_thousands(texts: Sequence[str], mark: str, words: Words) -> bool:
    starts_with_zero = any(re.search(rf"(^|[^\d.,])0+{re.escape(mark)}\d{{3}}", text) for text in texts)
    unmarked = words.greatest >= 10_000 or any(re.search(r"\d{5,}", re.split(r"[.,](?=\d*\D*$)", t)[0]) for t in texts)
    return not starts_with_zero and not unmarked


def _are_phone_numbers(texts: Sequence[str]) -> bool:
    """Whether nearly all texts have as many digits, nine or more, and nothing but one mark between them."""
    counted = Counter((sum(map(str.isdigit, text)), "".join(sorted(set(re.sub(r"\d", "", text))))) for text in texts)
    (length, marks), count = counted.most_common(1)[0]
    return length >= 9 and len(marks) == 1 and count > NUMBER_SHARE * len(texts) and len(texts) > 5


def fits(word: str, form: str) -> bool:
    """Whether a word is a number of the type or format, as `components.tables.columns.matches_format` says it."""
    if form.startswith("time:"):
        return re.match(PLAIN, word) is not None
    pattern, is_percent = _compiled(form.partition(":")[2] or form)
    if not pattern.match(word) or word.count("(") != word.count(")"):
        return False
    return not is_percent or "%" in word or not re.search(r"[1-9]", word)


@functools.cache
def _compiled(example: str) -> tuple[re.Pattern[str], bool]:
    number = parse_format(example)
    if number is None:
        return re.compile(r"(?!)"), False
    return re.compile(number.pattern), "%" in (number.before, number.after)
