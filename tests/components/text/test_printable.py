"""Texts of others are seen, not obeyed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxiway.components.text.printable import escape_chart_label, escape_multiline, escape_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 日本 שלום", "größe 日本 שלום"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x07\x08\x7f\x9b", r"\x07\x08\x7f\x9b"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("\ud800", r"\ud800"),
        ("👩\u200d🔬", "👩\u200d🔬"),
    ],
)
def test_what_would_be_obeyed_is_written_as_an_escape(text, shown):
    assert escape_text(text) == shown


def test_a_text_of_several_lines_keeps_them():
    assert escape_multiline("a\n\tb\x1b\r") == "a\n\tb\\x1b\\r"


@given(st.text(st.characters()))
def test_nothing_is_left_that_a_terminal_obeys(text):
    assert not [c for c in escape_text(text) if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert escape_text(escape_text(text)) == escape_text(text)
    assert set(escape_multiline(text)) & {chr(i) for i in range(32)} <= {"\n", "\t"}


@given(st.text(st.sampled_from('<>&$"a;#3')))
def test_a_chart_label_holds_no_markup(text):
    label = escape_chart_label(text)
    assert not set(label) & set('<>$"')


def test_a_chart_label_is_read_as_what_it_was():
    assert escape_chart_label("<a href='x'>$ink</a>") == "&lt;a href=&#x27;x&#x27;&gt;&#36;ink&lt;/a&gt;"
