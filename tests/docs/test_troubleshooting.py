"""The messages that the pages on troubleshooting and upgrading quote are those of the code."""

import ast
import re

from tests.docs.pages import HOME, list_anchors

PAGE = HOME / "docs" / "troubleshooting.md"
UPGRADING = HOME / "docs" / "upgrading.md"
_QUOTED = re.compile(r"^> (.+(?:\n> .+)*)$", re.MULTILINE)
_REFUSAL = re.compile(r"^\| `(.+?)` \|", re.MULTILINE)
_PLACEHOLDER = re.compile(r"<[^<>]+>")


def list_messages():
    return [quoted.replace("\n> ", " ") for quoted in _QUOTED.findall(PAGE.read_text())]


def list_refusals():
    """The messages in the table of what a newer version refuses."""
    return _REFUSAL.findall(UPGRADING.read_text().split("## What is refused\n")[1].split("\n## ")[0])


def list_code_texts():
    """All strings of the code, what is filled in replaced by `<>`."""
    texts = set()
    for folder in ("components", "pipeline"):
        for source in (HOME / folder).rglob("*.py"):
            texts.update(_read_text(node) for node in ast.walk(ast.parse(source.read_text())))
    return texts - {""}


def _read_text(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return _join_placeholders("".join(p.value if isinstance(p, ast.Constant) else "<>" for p in node.values))
    return ""


def _join_placeholders(text):
    return re.sub("(<>)+", "<>", text)


def find_unknown(messages):
    texts = list_code_texts()
    return [each for each in messages if not any(_PLACEHOLDER.sub("<>", each) in text for text in texts)]


def test_every_quoted_message_is_in_the_code():
    assert find_unknown(list_messages()) == []
    assert find_unknown(list_refusals()) == []


def test_there_are_messages_on_both_pages():
    assert len(list_messages()) >= 20
    assert len(list_refusals()) >= 4
    assert len(list_anchors(PAGE)) > len(list_messages())


def test_a_message_that_is_gone_is_found():
    assert find_unknown(["<file> has no column <name>.", "<file> lacks a column called <name>."]) == [
        "<file> lacks a column called <name>."
    ]
