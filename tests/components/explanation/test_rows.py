import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.explanation.rows import split_rows
from tests.components.explanation.rows import make_rows

VALUES = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(width=32, allow_nan=False), st.text(max_size=300)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=6), st.randoms())
def test_rows_come_back_and_single_columns_are_exchanged(table, chance):
    from tensorflow.core.example import example_pb2

    first, second = zip(*table, strict=True)
    rows = make_rows(a=first, größe=second)
    assert (rows.decode("a"), rows.decode("größe")) == (list(first), list(second))
    order = np.array(chance.sample(range(len(rows)), len(rows)))
    shuffled = rows.shuffle(["a"], order)
    for row in shuffled:
        assert set(example_pb2.Example.FromString(row).features.feature) <= {"a", "größe"}
    again = split_rows(list(shuffled), ["a", "größe"])
    assert again.decode("a") == [first[place] for place in order]
    assert again.decode("größe") == list(second)


def test_columns_that_no_row_of_a_file_has_are_missing():
    rows = split_rows(list(make_rows(a=[1, None]).encode()), ["a", "b"])
    assert rows.decode("a") == [1, None] and rows.decode("b") == [None, None]
    assert len(rows.take(np.array([1]))) == 1
