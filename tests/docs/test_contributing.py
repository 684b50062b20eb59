"""Every path, name, function and target that CONTRIBUTING.md quotes is there."""

import ast
import functools
import pydoc
import re

import pytest

from tests.docs.pages import HOME, list_code_words

PAGE = HOME / "CONTRIBUTING.md"
FOLDERS = ("components", "pipeline", "taxiway", "tests", "docs", "deploy", "data")
OTHERS = {"venv", "Args:", "pipeline -> components -> data", "one_device", "strict=", "zip", "frozen="}
"""Words of Python, of docstrings and of the configuration."""
_IDENTIFIER = re.compile(r"_*[A-Za-z]\w*")
_FUNCTION = re.compile(r"(\w+)\(([\w, ]*)\)(?: -> \w+)?")
_PATH = re.compile(r"[\w.-]*[/.][\w./-]*")


@functools.cache
def list_own_names():
    """Names that the code and its tests define, and the functions with the names of their arguments."""
    names, functions = set(), set()
    for source in (path for folder in ("components", "pipeline", "tests") for path in (HOME / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.FunctionDef):
                functions.add((node.name, tuple(a.arg for a in node.args.args if a.arg != "self")))
            elif isinstance(node, ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names | {name for name, _ in functions}, functions


def list_paths(word):
    """Files and folders that a path names, also by its end alone; `NAME` stands for any name."""
    pattern = word.rstrip("/").replace("NAME", "*")
    return [*HOME.glob(pattern), *(path for folder in FOLDERS for path in (HOME / folder).rglob(pattern))]


def is_known(word, names, functions):
    function = _FUNCTION.fullmatch(word)
    if word.startswith("make "):
        return is_known_target(word)
    if word.startswith("python -m "):
        return is_known_module(word)
    if word.startswith("taxiway "):
        return f"`{' '.join(word.split()[:2])}" in (HOME / "docs" / "cli.md").read_text()
    if word.startswith("taxiway."):
        return pydoc.locate(word) is not None
    if function:
        pattern = re.compile(function[1].replace("NAME", r"\w+"))
        return any(pattern.fullmatch(name) and ", ".join(given) == function[2] for name, given in functions)
    if _IDENTIFIER.fullmatch(word):
        return word in names
    return bool(_PATH.fullmatch(word) and list_paths(word))


def is_known_target(word):
    """Whether the Makefile has the target, and the tests that it is given are there."""
    targets = re.findall(r"^(\w+):", (HOME / "Makefile").read_text(), re.MULTILINE)
    return word.split()[1] in targets and are_tests_there(word)


def is_known_module(word):
    """Whether the module can be run, and the tests that it is given are there."""
    module = HOME / word.split()[2].replace(".", "/")
    places = (module / "__main__.py", module.with_suffix(".py"))
    return any(place.is_file() for place in places) and are_tests_there(word)


def are_tests_there(word):
    return all((HOME / path).exists() for path in re.findall(r"tests/[\w./]+", word))


def test_every_quoted_word_is_known():
    names, functions = list_own_names()
    words = set(list_code_words(PAGE)) - OTHERS
    assert len(words) > 50
    assert sorted(word for word in words if not is_known(word, names, functions)) == []


@pytest.mark.parametrize(
    "word",
    [
        "RUNNERS",
        "components.optimizer.candidate.Technique",
        "taxiway.Runn",
        "_run_NAME(ir, hooks)",
        "components/optimizer/variant/NAME.py",
        "variants/shared/gone.py",
        "make tests",
        "make test ARGS=tests/gone",
        "python -m gone",
        "python -m tests.stacks python -m pytest tests/gone",
        "taxiway mutate --help",
    ],
)
def test_a_word_that_is_gone_is_found(word):
    assert not is_known(word, *list_own_names())
