import pytest

from taxiway.components.text.lists import join_first


@pytest.mark.parametrize(
    ("texts", "joined"),
    [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c"], "a, b and 1 more"), ("abcde", "a, b and 3 more")],
)
def test_the_first_ones_are_named_and_the_others_counted(texts, joined):
    assert join_first(list(texts), 2) == joined


def test_a_separator_and_a_noun():
    assert join_first(["a", "b", "c"], 2, separator="; ", noun="words") == "a; b and 1 more words"
    assert join_first(["a"], 2, noun="words") == "a"
