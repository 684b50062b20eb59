import pyarrow as pa

from taxiway.pipeline.scaffold.column_words import LONGEST_WORD, SHOWN_OF_LONG, ColumnWords, _add_texts


def test_of_a_long_cell_only_the_beginning_is_looked_at():
    """Patterns for numbers and marks take quadratic time on thousands of spaces."""
    cells = [" " * 30_000 + "a,1", "$" + "9" * LONGEST_WORD, "$12", "7", "é" * LONGEST_WORD]
    words = ColumnWords()
    _add_texts(words, pa.array([cell.encode() for cell in cells], pa.large_binary()))
    assert (words.plain, words.distinct, words.values) == (1, 5, 5)
    assert {len(word) for word in words.odd} == {3, SHOWN_OF_LONG + 1, LONGEST_WORD}
    assert "$" + "9" * (SHOWN_OF_LONG - 1) + "\u2026" in words.odd
