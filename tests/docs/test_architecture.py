"""The walks of the architecture page name functions, classes and modules that there are."""

import ast
import re

from tests.docs.pages import HOME

PAGE = HOME / "docs" / "architecture.md"
_IDENTIFIER = re.compile(r"[A-Za-z_]{4,}")
SETTINGS = {"model", "training", "custom_config", "serving_raw"}
"""Words in the walks that name a section of the configuration, an argument of TFX or a signature."""


def read_section(heading):
    return PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]


def list_defined_names():
    names = set()
    for folder in ("components", "pipeline"):
        for source in (HOME / folder).rglob("*.py"):
            defined = (ast.FunctionDef, ast.ClassDef)
            names.update(node.name for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, defined))
    return names


def test_functions_and_classes_of_the_walks_exist():
    words = re.findall(r"`([^`]+)`", read_section("Three walks"))
    named = {word for word in words if _IDENTIFIER.fullmatch(word)} - SETTINGS
    assert len(named) > 25
    assert named - list_defined_names() == set()


def test_a_walk_takes_a_dozen_lines():
    for walk in read_section("Three walks").split("\n### ")[1:]:
        assert len(re.findall(r"^\d+\. ", walk, re.MULTILINE)) <= 12, walk.splitlines()[0]


def test_the_tree_lists_every_folder_and_no_other():
    tree = read_section("The tree").split("```")[1]
    parts = dict(re.findall(r"^(\w+)/ .*\n((?:    .*\n)*)", tree, re.MULTILINE))
    for folder in ("components", "pipeline"):
        listed = {name.strip("/") for name in re.findall(r"(?:^    |;  )([a-z_]+)/", parts[folder], re.MULTILINE)}
        there = {path.parent.name for path in (HOME / folder).glob("*/__init__.py")}
        assert there - {"commands", "console"} <= listed, folder
        assert listed <= there, folder
