"""Detects numbers that are written with other decimal marks, or with signs of money, percent or units."""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from taxiway.components.example_gen.config import DataConfig
from taxiway.components.tables.number_format import NumberFormat, parse_format
from taxiway.pipeline.scaffold.column_words import NUMBER_SHARE, PLAIN, ColumnWords, TableFinding, is_null_mark

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


def find_number_formats(
    words: Mapping[str, ColumnWords], data: DataConfig, findings: list[TableFinding], label: str
) -> dict[str, str]:
    """The types of columns whose numbers are written with other marks or signs; adds a finding for each."""
    decimal_comma = any(
        _find_best_format(each, comma=True) in ("1,5", "1.234,5") and _has_clear_comma(each) for each in words.values()
    )
    types = {}
    for name, each in words.items():
        if name in data.types or each.typed or (name == label and not _is_plainly_numeric(each)):
            continue
        form = _find_best_format(each, decimal_comma)
        if decimal_comma and not form and _has_point_thousands(each):
            form = "1.234,5"
        if not form:
            continue
        types[name] = _choose_type(form, each)
        findings.append(TableFinding(f"data.types ({name})", _describe_format(name, form, each)))
    return types


def _is_plainly_numeric(words: ColumnWords) -> bool:
    """Whether a label has many words: few, such as `<50%` and `50%`, are classes."""
    return len(words.odd) > 20


def _has_clear_comma(words: ColumnWords) -> bool:
    """Whether some comma cannot separate thousands."""
    return any(re.search(r"\d,\d{1,2}(\D|$)|\d,\d{4,}|(^|\D)0+,\d", word) for word in list(words.odd)[:300])


def _has_point_thousands(words: ColumnWords) -> bool:
    return not words.odd and words.three > 0 and words.three == words.plain - words.whole and words.greatest < 1000


def _choose_type(form: str, words: ColumnWords) -> str:
    number = parse_format(form)
    fraction = number is None or number.before or number.after or any(_has_fraction(w, number) for w in words.odd)
    if fraction or (words.whole < words.plain and form != "1.234,5"):
        return f"float:{form}"
    return f"int:{_make_whole_example(number)}" if number and number.thousands else f"float:{form}"


def _make_whole_example(number: NumberFormat) -> str:
    return f"1{number.thousands}234"


def _has_fraction(word: str, number: NumberFormat) -> bool:
    return re.search(rf"{re.escape(number.decimal)}\d", word) is not None


def _describe_format(name: str, form: str, words: ColumnWords) -> str:
    texts = [word for word in words.odd if fits_format(word, form)][:2] or [f"{words.least:.3f}"]
    number = parse_format(form)
    shown = " and ".join(repr(text[:30]) for text in texts) + (" are" if len(texts) > 1 else " is")
    doubt = ""
    if number and number.thousands == "," and not _has_two_marks(words):
        doubt = f" (a comma between thousands; were it a decimal comma: {name}: 'float:1,5')"
    sign = " without their sign" if number and (number.before or number.after) else ""
    if form == "1.5":
        return f"{name}: {shown} read as negative numbers"
    return f"{name}: {shown} read as numbers{sign}, in the format {form}{doubt}"


def _has_two_marks(words: ColumnWords) -> bool:
    return any(word.count(",") > 1 or ("," in word and "." in word) for word in words.odd)


def _find_best_format(words: ColumnWords, comma: bool) -> str:
    """The format of nearly all values, as an example such as `1.234,5`; empty for plain numbers and for text."""
    texts = dict(itertools.islice(((w, n) for w, n in words.odd.items() if not is_null_mark(w)), MAX_TRIED))
    if not texts or (words.codes and not comma) or len(texts) < MIN_FORMATTED:
        return ""
    scale = 1.0
    if len(texts) == MAX_TRIED:  # the words that were tried stand for all
        scale = sum(n for w, n in words.odd.items() if not is_null_mark(w)) + words.more
        scale /= sum(texts.values())
    total = words.plain + scale * sum(texts.values())
    if words.plain >= NUMBER_SHARE * total and not any(ch in word for word in texts for ch in ",'$€£%()\u2212"):
        return ""
    best, most = "", 0.0
    for form in _list_candidates(texts):
        fitting: float = sum(n for word, n in texts.items() if fits_format(word, form))
        if not fitting or not _is_plausible_format(form, texts, words, comma):
            continue
        fitting = scale * fitting + _count_plain_fitting(form, words)
        if fitting > most:
            best, most = form, fitting
    return best if most >= NUMBER_SHARE * total else ""


def _count_plain_fitting(form: str, words: ColumnWords) -> int:
    """How many of the plain numbers are numbers of this format too."""
    number = parse_format(form)
    if number is None or "%" in (number.before, number.after):
        return 0
    return words.whole if number.decimal == "," else words.plain


def _list_candidates(texts: Mapping[str, int]) -> Iterator[str]:
    """Formats with the usual marks, alone and with the signs that stand before and after most values."""
    befores = {"", *_find_common_signs(_BEFORE, texts, 1)} - {None}
    afters = {"", *_find_common_signs(_AFTER, texts, 2)}
    signs = [(b, a) for b in befores for a in afters if _are_plausible_signs(b, a, texts)]
    for form in _SEPARATORS:
        for before, after in sorted(signs, key=lambda pair: len(pair[0] + pair[1])):
            number = parse_format(form)
            if number:
                example = NumberFormat(number.decimal, number.thousands, before, after).example
                yield form if not (before or after) else example


def _find_common_signs(pattern: re.Pattern[str], texts: Mapping[str, int], group: int) -> set[str]:
    counted: Counter[str] = Counter()
    for text, count in texts.items():
        match = pattern.search(text) if len(text) <= _LONGEST_NUMBER else None  # the patterns take time squared
        if match:
            counted[match[group].strip()] += count
    return {sign for sign, count in counted.items() if count > 0.5 * sum(texts.values())}


def _are_plausible_signs(before: str, after: str, texts: Mapping[str, int]) -> bool:
    """Whether signs are those of money or percent, or a unit after varying numbers; `Q1` and `3rd` are names."""
    if before and not _CURRENCY.match(before):
        return False
    if not after or after == "%" or _CURRENCY.match(after):
        return True
    if not after[0].isalpha() and after[0] not in "°µ":
        return False
    apart = sum(bool(re.search(r"\d\s+\S", text)) for text in texts) > 0.9 * len(texts)
    fractions = any(re.search(r"\d[.,]\d", text) for text in texts)
    return len(texts) >= 5 and (apart or fractions)


def _is_plausible_format(form: str, texts: Mapping[str, int], words: ColumnWords, comma: bool) -> bool:
    """Whether marks separate thousands: no leading zero, no long number without them, no phone numbers."""
    number = parse_format(form)
    fitting = [text for text in texts if fits_format(text, form)]
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


def _are_thousands(texts: Sequence[str], mark: str, words: ColumnWords) -> bool:
    starts_with_zero = any(re.search(rf"(^|[^\d.,])0+{re.escape(mark)}\d{{3}}", text) for text in texts)
    unmarked = words.greatest >= 10_000 or any(re.search(r"\d{5,}", re.split(r"[.,](?=\d*\D*$)", t)[0]) for t in texts)
    return not starts_with_zero and not unmarked


def _are_phone_numbers(texts: Sequence[str]) -> bool:
    """Whether nearly all texts have as many digits, nine or more, and nothing but one mark between them."""
    counted = Counter((sum(map(str.isdigit, text)), "".join(sorted(set(re.sub(r"\d", "", text))))) for text in texts)
    (length, marks), count = counted.most_common(1)[0]
    return length >= 9 and len(marks) == 1 and count > NUMBER_SHARE * len(texts) and len(texts) > 5


def fits_format(word: str, form: str) -> bool:
    """Whether a word is a number of the type or format, by the rules of `matches_format`, word by word."""
    if form.startswith("time:"):
        return re.match(PLAIN, word) is not None
    pattern, is_percent = _compile_format(form.partition(":")[2] or form)
    if not pattern.match(word) or word.count("(") != word.count(")"):
        return False
    return not is_percent or "%" in word or not re.search(r"[1-9]", word)


@functools.cache
def _compile_format(example: str) -> tuple[re.Pattern[str], bool]:
    number = parse_format(example)
    if number is None:
        return re.compile(r"(?!)"), False
    return re.compile(number.pattern), "%" in (number.before, number.after)
