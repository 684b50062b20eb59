"""Notes on rows that were read for a model: inputs that they lack, unknown columns, words that training never saw."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping

from taxiway.components.errors import suggest_matches
from taxiway.components.tables.seen_words import KnownWords
from taxiway.components.text.lists import join_first

MOST_NAMED = 20
_SAMPLES = 3


class RowNotes:
    """Counts over the rows of one reading. They are sums, so that workers can count apart and be added.

    Attributes:
        counts: The counts, by what is counted and its column: `rows`, `present` (values), `words`, `unseen` (words),
            `unknown` (columns), `unnamed` (columns read under the trained name, with the name in the file after a tab),
            `without_label` (the label that files without a header lack), and `footers` (rows left out, with the
            words that they begin with).
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._unseen: dict[str, list[str]] = {}

    def add_unseen(self, column: str, words: Iterable[bytes]) -> None:
        """Keeps the first few, to be shown."""
        kept = self._unseen.setdefault(column, [])
        for word in words:
            text = word.decode("utf-8", "replace")
            if len(kept) < _SAMPLES and text not in kept:
                kept.append(text)

    def list_columns(self, what: str) -> list[str]:
        return [column for kind, column in self.counts if kind == what]

    def make_sentences(
        self, inputs: Mapping[str, str], words: Mapping[str, KnownWords], known_columns: Iterable[str]
    ) -> list[str]:
        """One sentence a finding.

        Args:
            inputs: The columns that the model takes, each with the column of the data that it is made of, or itself.
            words: The words that training saw.
            known_columns: All columns that training had.
        """
        if not self.counts["rows", ""]:
            return self._describe_footers()
        columns = list(known_columns)
        sentences = (
            self._describe_footers(),
            self._describe_renamed(),
            self._describe_missing(inputs),
            self._describe_unknown(columns),
        )
        return [*itertools.chain(*sentences), *self._describe_unseen_words(words)]

    def _describe_footers(self) -> list[str]:
        """Rows whose first cell makes them footers, as in training: they get no answer."""
        return [
            f"Left out as a footer, as in training (a first cell of {words}): "
            f"{_format_row_count(self.counts['footers', words])}."
            for words in self.list_columns("footers")
        ]

    def _describe_renamed(self) -> list[str]:
        pairs = [name.split("\t") for name in self.list_columns("unnamed")]
        named = [f"The column {here!r} is read as {there!r}, the name it had in training." for there, here in pairs]
        missing = "The rows have no header and one column less than in training: taken to be without the label"
        return [*named, *(f"{missing} {label!r}." for label in self.list_columns("without_label"))]

    def _describe_missing(self, inputs: Mapping[str, str]) -> list[str]:
        lacking = [column for column in inputs if not self.counts["present", column]]
        if not lacking:
            return []
        shown = [_format_input(column, inputs[column]) for column in lacking]
        rows = self.counts["rows", ""]
        where = "the row" if rows == 1 else f"all {rows} rows"
        return [f"The model also takes {join_first(shown, MOST_NAMED)}: missing in {where}."]

    def _describe_unknown(self, columns: list[str]) -> list[str]:
        names = self.list_columns("unknown")
        sentences = [
            f"{name!r} is no column that training knew, and is not used. {suggest_names(name, columns)}"
            for name in names
        ]
        more = [f"{len(names) - MOST_NAMED} more columns are unknown too."] if len(names) > MOST_NAMED else []
        return [sentence.rstrip() for sentence in sentences[:MOST_NAMED]] + more

    def _describe_unseen_words(self, words: Mapping[str, KnownWords]) -> list[str]:
        return [
            self._describe_unseen_share(c, words[c])
            for c in self.list_columns("unseen")
            if self._has_more_unseen(c, words[c])
        ]

    def _has_more_unseen(self, column: str, known_words: KnownWords) -> bool:
        return self.counts["unseen", column] / self.counts["words", column] > (known_words.unseen_share or 0)

    def _describe_unseen_share(self, column: str, known_words: KnownWords) -> str:
        unseen, words = self.counts["unseen", column], self.counts["words", column]
        held, samples = known_words.unseen_share, self._unseen.get(column)
        then = "" if held is None else f"; of the rows held back from training it was {held:.1%}"
        such_as = f" ({', '.join(map(repr, samples))})" if samples else ""
        share = f"{unseen} of {words} texts ({unseen / words:.1%})"
        return f"{column!r}: {share} were never seen in training{such_as}{then}."


def _format_row_count(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _format_input(column: str, source: str) -> str:
    return repr(column) if source == column else f"{column!r} (made of {source!r})"


def suggest_names(name: str, columns: Iterable[str]) -> str:
    """The sentence that offers the known names nearest to `name`; empty where none is near."""
    offer = suggest_matches(name, columns)
    return offer if offer.startswith("Did you mean") else ""
