"""What must be said of rows that were read for a model: inputs they lack, columns nobody knows, words never seen."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping

from components.errors import close_matches
from components.tables.words import KnownWords

MOST_NAMED = 20
_SAMPLES = 3


class RowNotes:
    """Counts over the rows of one reading. They are sums, so that workers can count apart and be added.

    Attributes:
        counts: By what is counted and its column; `rows`, `present` (values), `words`, `unseen` (words), `unknown`
            (columns), `unnamed` (columns read under the trained name, with the name in the file after a tab),
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

    def columns(self, what: str) -> list[str]:
        return [column for kind, column in self.counts if kind == what]

    def sentences(
        self, inputs: Mapping[str, str], words: Mapping[str, KnownWords], known_columns: Iterable[str]
    ) -> list[str]:
        """One sentence a finding.

        Args:
            inputs: Each column that the model takes, and the column of the data that it is made of, or itself.
            words: Of training.
            known_columns: All that training had.
        """
        if not self.counts["rows", ""]:
            return self._footers()
        known = list(known_columns)
        found = (self._footers(), self._renamed(), self._missing(inputs), self._unknown(known))
        return [*itertools.chain(*found), *self._unseen_words(words)]

    def _footers(self) -> list[str]:
        """By its first cell a row is a footer, as it was in training: it gets no answer, and that is said."""
        return [
            f"Left out as a footer, as in training (a first cell of {words}): {_rows(self.counts['footers', words])}."
            for words in self.columns("footers")
        ]

    def _renamed(self) -> list[str]:
        pairs = [name.split("\t") for name in self.columns("unnamed")]
        named = [f"The column {here!r} is read as {there!r}, the name it had in training." for there, here in pairs]
        missing = "The rows have no header and one column less than in training: taken to be without the label"
        return [*named, *(f"{missing} {label!r}." for label in self.columns("without_label"))]

    def _missing(self, inputs: Mapping[str, str]) -> list[str]:
        lacking = [column for column in inputs if not self.counts["present", column]]
        if not lacking:
            return []
        shown = [_made(column, inputs[column]) for column in lacking]
        rows = self.counts["rows", ""]
        where = "the row" if rows == 1 else f"all {rows} rows"
        return [f"The model also takes {_listed(shown)}: missing in {where}."]

    def _unknown(self, known: list[str]) -> list[str]:
        names = self.columns("unknown")
        told = [
            f"{name!r} is no column that training knew, and is not used. {near_names(name, known)}" for name in names
        ]
        more = [f"{len(names) - MOST_NAMED} more columns are unknown too."] if len(names) > MOST_NAMED else []
        return [sentence.rstrip() for sentence in told[:MOST_NAMED]] + more

    def _unseen_words(self, words: Mapping[str, KnownWords]) -> list[str]:
        return [self._share(c, words[c]) for c in self.columns("unseen") if self._is_more(c, words[c])]

    def _is_more(self, column: str, known: KnownWords) -> bool:
        return self.counts["unseen", column] / self.counts["words", column] > (known.unseen_share or 0)

    def _share(self, column: str, known: KnownWords) -> str:
        unseen, words = self.counts["unseen", column], self.counts["words", column]
        held, samples = known.unseen_share, self._unseen.get(column)
        then = "" if held is None else f"; of the rows held back from training it was {held:.1%}"
        such_as = f" ({', '.join(map(repr, samples))})" if samples else ""
        share = f"{unseen} of {words} texts ({unseen / words:.1%})"
        return f"{column!r}: {share} were never seen in training{such_as}{then}."


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _made(column: str, source: str) -> str:
    return repr(column) if source == column else f"{column!r} (made of {source!r})"


def _listed(shown: list[str]) -> str:
    more = f" and {len(shown) - MOST_NAMED} more" if len(shown) > MOST_NAMED else ""
    return ", ".join(shown[:MOST_NAMED]) + more


def near_names(name: str, known: Iterable[str]) -> str:
    """The sentence that offers the known names nearest to `name`; empty where none is near."""
    offer = close_matches(name, known)
    return offer if offer.startswith("Did you mean") else ""
