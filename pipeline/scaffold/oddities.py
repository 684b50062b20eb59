"""Finds what is easily misread in a table: words for missing values, number formats, codes, epoch times, footers.

Each finding becomes a setting of the configuration and a sentence with counts. The readers of training and prediction
apply the setting: nothing here changes a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from taxiway.components.example_gen.config import DataConfig
from taxiway.components.tables.columns.numbers import EXPONENT_CODE
from taxiway.components.tables.columns.times import parse_time
from taxiway.components.tables.sources.source_file import SourceFile
from taxiway.components.text.lists import join_first
from taxiway.pipeline.scaffold.column_words import (
    NUMBER_SHARE,
    ColumnWords,
    TableFinding,
    count_words,
    holds_bytes,
    is_null_mark,
)
from taxiway.pipeline.scaffold.number_formats import find_number_formats, fits_format
from taxiway.pipeline.scaffold.time_formats import TIME_FORMATS, TIME_NAME

ONE_WORD_SHARE = 0.9
"""The share from which on a single repeated word among numbers stands for missing values."""
SUSPICIOUS_SHARE = 0.5
"""From this share of numbers on a column that is read as text is reported."""
MAX_NULL_WORDS = 20
"""More different words than this among numbers do not stand for missing values."""
_FOOTER = re.compile(
    r"(?i)\s*(grand |sub)?-?(totals?|sums?|summe|gesamt|insgesamt|averages?|avg|mean|count|rows|records|total rows|"
    r"end of (file|report|data)|source|note|notes)\b.{0,40}$"
)
EPOCHS = {"ms": (1e12, 2.2e12), "us": (1e15, 2.2e15), "ns": (1e18, 2.2e18)}
"""Counts since 1970 that are times from 2001 to 2039."""


@dataclass(frozen=True)
class TableStudy:
    """The section `data` with the settings that were found, the findings, and the words of every column."""

    data: DataConfig
    findings: tuple[TableFinding, ...]
    words: Mapping[str, ColumnWords]


def study_table(data: DataConfig, files: Sequence[SourceFile], label: str, numeric_label: bool) -> TableStudy:
    """Examines every value of a table.

    Args:
        data: Section `data` so far.
        files: Files to read.
        label: Column of the label, whose words are classes, not missing values; empty for an expression.
        numeric_label: Whether the label must be a number.
    """
    raw = data.model_copy(
        update={"csv": data.csv.model_copy(update={"null_values": ("",)}), "null_values": {}, "types": {}}
    )
    words, ends = count_words(raw, files)
    footer = _find_footers(ends, words, data.csv.delimiter) if files[0].format == "csv" and not data.csv.footer else ()
    if footer:
        study = study_table(_set_footer(data, footer), files, label, numeric_label)
        footer_findings = [
            TableFinding("data.csv.footer", f"the last row is no data and is left out: {row!r}") for _, row in footer
        ]
        return TableStudy(study.data, (*footer_findings, *study.findings), study.words)
    return _study_words(data, files[0].format, words, label, numeric_label)


def _set_footer(data: DataConfig, footer: Sequence[tuple[str, str]]) -> DataConfig:
    cells = tuple(dict.fromkeys(cell for cell, _ in footer))
    return data.model_copy(update={"csv": data.csv.model_copy(update={"footer": cells})})


def _find_footers(
    ends: Iterable[list[dict[str, str]]], words: Mapping[str, ColumnWords], delimiter: str
) -> list[tuple[str, str]]:
    """The first cell and the text of each last row that holds totals or notes."""
    footers = []
    for rows in ends:
        for row in rows:
            first = next(iter(row))
            cell = row[first].strip()
            alone = sum(words[first].odd[w] for w in words[first].odd if w.strip() == cell)
            if cell and _FOOTER.match(cell) and alone <= 2 and words[first].values > 3:
                footers.append((cell, delimiter.join(row.values())[:80]))
    return footers


# What the words mean


def _study_words(
    data: DataConfig, form: str, words: Mapping[str, ColumnWords], label: str, numeric_label: bool
) -> TableStudy:
    findings: list[TableFinding] = []
    types = find_number_formats(words, data, findings, "" if numeric_label else label)
    types |= _find_epoch_times(words, data, findings, label)
    _report_codes(words, {**types, **data.types}, findings, label)
    hidden = {
        name: missing
        for name, each in words.items()
        if name not in data.null_values and (missing := _find_null_words(name, each, types.get(name, ""), findings))
    }
    null_words, by_column = _make_null_settings(hidden, words, data, form, label)
    for name, missing in hidden.items():
        key = f"data.null_values ({name})" if name in by_column else "data.csv.null_values"
        findings.append(TableFinding(key, _describe_null_words(name, words[name], missing, name in types)))
    if form == "csv":
        by_column |= _find_words_to_keep(words, data, hidden, label, findings)
        _report_null_words(words, data, {*hidden, *by_column, label}, findings)
    _report_invalid_text(words, findings)
    updated = data.model_copy(
        update={
            "csv": data.csv.model_copy(update={"null_values": null_words}),
            "null_values": {**data.null_values, **by_column},
            "types": {**types, **data.types},
        }
    )
    return TableStudy(updated, tuple(findings), words)


def _find_null_words(name: str, words: ColumnWords, form: str, findings: list[TableFinding]) -> dict[str, int]:
    """Counts of the words that stand for missing values among numbers, times or booleans; none in a column of text."""
    odd = {word: n for word, n in words.odd.items() if not (form and fits_format(word, form))}
    if not odd:
        return {}
    others = {word: n for word, n in odd.items() if not is_null_mark(word)}
    numbers = words.values - sum(odd.values()) - words.more
    if words.more and not form:
        return {}
    if not others and (numbers or not words.codes):
        return odd if numbers else {}
    share = numbers / max(numbers + sum(others.values()), 1)
    if share >= SUSPICIOUS_SHARE and not words.codes:
        if len(others) <= MAX_NULL_WORDS and (share >= NUMBER_SHARE or (len(others) == 1 and share >= ONE_WORD_SHARE)):
            return odd
        findings.append(TableFinding(
            "data.types", f"{name}: {numbers:,} of {words.values:,} values are numbers, but other words stand "
            f"among them: {_format_words(others)}: read as text (data.null_values takes words as missing)"
        ))  # fmt: skip
        return {}
    marks = {word: n for word, n in odd.items() if is_null_mark(word)}
    return marks if marks and not numbers and _are_times_or_booleans(list(others)) else {}


def _are_times_or_booleans(texts: Sequence[str]) -> bool:
    if {text.strip().lower() for text in texts} <= {"true", "false"}:
        return True
    array = pa.array([text.encode() for text in texts[:500]], pa.binary())
    return any(parse_time(array, pattern) is not None for pattern in TIME_FORMATS)


def _describe_null_words(name: str, words: ColumnWords, missing: Mapping[str, int], formatted: bool) -> str:
    total = sum(missing.values())
    kind = "numbers" if words.plain or formatted else "times, or true and false"
    return (
        f"{name}: {words.values - total:,} of {words.values:,} values are {kind}; {_format_words(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} taken as missing"
    )


def _format_words(words: Mapping[str, int], most: int = 4) -> str:
    frequent = sorted(words.items(), key=lambda item: -item[1])
    return join_first([f"{word[:40]!r} ({count:,})" for word, count in frequent], most, noun="words")


def _make_null_settings(
    hidden: Mapping[str, Mapping[str, int]], words: Mapping[str, ColumnWords], data: DataConfig, form: str, label: str
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Null words of the whole file, and of single columns where the word is a value in a column of text."""
    usual = data.csv.null_values
    by_column: dict[str, tuple[str, ...]] = {}
    everywhere: list[str] = []
    for name, missing in hidden.items():
        new = [word for word in missing if form != "csv" or (word.strip() if data.csv.trim else word) not in usual]
        shared = {w for w in new if any(w in other.odd for n, other in words.items() if n not in hidden)}
        own = [word for word in new if form != "csv" or word in shared or not is_null_mark(word) or name == label]
        if own:
            by_column[name] = tuple(dict.fromkeys([*(usual if form == "csv" else ("",)), *new]))
        else:
            everywhere += [word.strip() if data.csv.trim else word for word in new]
    return tuple(dict.fromkeys([*usual, *everywhere])), by_column


def _find_words_to_keep(
    words: Mapping[str, ColumnWords],
    data: DataConfig,
    hidden: Mapping[str, object],
    label: str,
    findings: list[TableFinding],
) -> dict[str, tuple[str, ...]]:
    """Columns in which a null word is a value: `NA` for Namibia among country codes, and classes of the label."""
    kept: dict[str, tuple[str, ...]] = {}
    for name, each in words.items():
        if name in hidden or name in data.null_values:
            continue
        taken = {word: n for word, n in each.odd.items() if word in data.csv.null_values and word}
        others = [word for word in each.odd if word not in taken]
        if name == label:
            settings = _choose_label_null_words(name, each, data, findings)
            kept |= {name: settings} if settings else {}
        elif "NA" in taken and _are_two_letter_codes(others):
            kept[name] = tuple(word for word in ("", *taken) if word != "NA")
            findings.append(TableFinding(
                f"data.null_values ({name})",
                f"{name}: 'NA' ({taken['NA']:,}) is a code like {', '.join(map(repr, others[:3]))}, not missing",
            ))  # fmt: skip
    return kept


def _choose_label_null_words(
    name: str, words: ColumnWords, data: DataConfig, findings: list[TableFinding]
) -> tuple[str, ...]:
    """The null words of a label of text: beside yes and no a null word means missing, elsewhere it is a class."""
    key = f"data.null_values ({name})"
    taken = {word: n for word, n in words.odd.items() if word in data.csv.null_values and word}
    marks = {word: n for word, n in words.odd.items() if is_null_mark(word) and word.strip()}
    others = [word for word in words.odd if word not in marks and word.strip()]
    if marks and _is_yes_and_no(others):
        beside = " and ".join(map(repr, others))
        findings.append(
            TableFinding(key, f"the label {name}: {_format_words(marks)} beside {beside} is no class: a missing label")
        )
        return () if taken.keys() == marks.keys() else tuple(dict.fromkeys([*data.csv.null_values, *marks]))
    if taken:
        findings.append(TableFinding(key, f"the label {name}: {_format_words(taken)} is a class, not a missing value"))
        return ("",)
    return ()


def _is_yes_and_no(texts: Sequence[str]) -> bool:
    pairs = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"}, {"0", "1"}, {"positive", "negative"},
             {"pos", "neg"}, {"pass", "fail"}, {"ja", "nein"}, {"oui", "non"}, {"good", "bad"})  # fmt: skip
    return {text.strip().casefold() for text in texts} in pairs


def _are_two_letter_codes(texts: Sequence[str]) -> bool:
    codes = [text for text in texts if re.fullmatch(r"[A-Z]{2}", text.strip())]
    return len(codes) >= 2 and len(codes) >= 0.9 * len(texts)


def _report_null_words(
    words: Mapping[str, ColumnWords], data: DataConfig, null_words: set[str], findings: list[TableFinding]
) -> None:
    """Reports null words in columns of text, where they may be values."""
    for name, each in words.items():
        if name in null_words or name in data.null_values:
            continue
        taken = {word: n for word, n in each.odd.items() if word in data.csv.null_values and word.strip()}
        if taken and len(taken) < len(each.odd):
            findings.append(
                TableFinding(f"data.null_values ({name})", f"{name}: {_format_words(taken)} is taken as missing")
            )


def _report_codes(
    words: Mapping[str, ColumnWords], types: Mapping[str, str], findings: list[TableFinding], label: str
) -> None:
    for name, each in words.items():
        odd = {word for word in each.odd if not is_null_mark(word) and word not in each.codes}
        exponents = {code for code in each.codes if re.match(EXPONENT_CODE, code)}
        if not each.codes or odd or each.more or name in types:
            continue
        if len(exponents) == len(each.codes) and each.whole + sum(each.codes.values()) < each.plain:
            continue  # a float among fractions
        text = (
            f"{name}: {sum(each.codes.values()):,} {_explain_code(each)}, such as "
            f"{next(iter(each.codes))!r}: read as text"
        )
        findings.append(TableFinding(f"data.types ({name})", text))


def _explain_code(words: ColumnWords) -> str:
    code = next(iter(words.codes)).strip()
    if code[:2].lower() == "0x":
        return "values are hexadecimal"
    if code[0] == "0" and len(code) > 1:
        return "values begin with a zero, which a number has not"
    if re.match(EXPONENT_CODE, code):
        return "values look like 12E4, a code and a number"
    return "values begin with a plus" if code[0] == "+" else "values are beyond 2^53, where a float becomes another"


def _report_invalid_text(words: Mapping[str, ColumnWords], findings: list[TableFinding]) -> None:
    for name, each in words.items():
        if each.garbled and not holds_bytes(each):
            findings.append(TableFinding("data.max_bad_rows", f"{name}: {each.garbled:,} values are no UTF-8 text"))


# Counts since 1970


def _find_epoch_times(
    words: Mapping[str, ColumnWords], data: DataConfig, findings: list[TableFinding], label: str
) -> dict[str, str]:
    types = {}
    for name, each in words.items():
        unit = _detect_epoch_unit(name, each)
        if unit and name != label and name not in data.types:
            types[name] = f"time:{unit}"
            what = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[unit]
            first = np.datetime64(int(each.least), unit).astype("datetime64[s]")
            said = f"{name}: numbers such as {each.least:.0f} are {what} since 1970, the first of them {first} UTC"
            findings.append(TableFinding(f"data.types ({name})", said))
    return types


def _detect_epoch_unit(name: str, words: ColumnWords) -> str:
    if not words.plain or words.whole < words.plain or any(not is_null_mark(word) for word in words.odd) or words.more:
        return ""
    for unit, (least, greatest) in EPOCHS.items():
        if least <= words.least and words.greatest <= greatest and words.greatest > words.least:
            # Other numbers of 13 and 16 digits are rare; those of 19 digits may well be identifiers.
            return unit if unit != "ns" or TIME_NAME.search(name) else ""
    return ""
