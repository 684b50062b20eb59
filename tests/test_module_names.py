"""Names of our modules in strings, comments and pages: what no import statement and no type checker would miss."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxiway.components.transform.config import FORMER_BUILT_IN
from taxiway.pipeline.emulator.commands import FORMER_ENTRY_POINT

HOME = Path(__file__).parents[1]
PACKAGES = ("components", "pipeline", "data")
NAMED = re.compile(rf"\btaxiway\.(?:{'|'.join(PACKAGES)})(?:[.:][A-Za-z_]\w*)+")
FORMER = re.compile(r"(?:components|pipeline)\.(?!json|yaml)[a-z_]\w*(?:\.\w+)*")
"""What a module was called before `taxiway` was the one import name."""
RUN_AS_MODULE = re.compile(rf"-m[ \",]+((?:taxiway|deploy|tests|{'|'.join(PACKAGES)})(?:\.\w+)*)")
ABOUT_OLD_ROOTS = ("tests/fixtures/", "tests/test_module_names.py", "CHANGELOG.md")


def list_sources() -> list[Path]:
    """Every text file of the checkout that people or machines read."""
    names = subprocess.run(["git", "ls-files"], cwd=HOME, capture_output=True, text=True, check=True).stdout.split()
    suffixes = {".py", ".md", ".toml", ".yaml", ".yml", ".j2", ".html", ""}
    return [
        HOME / name
        for name in names
        if Path(name).suffix in suffixes and (HOME / name).is_file() and not name.startswith(ABOUT_OLD_ROOTS)
    ]


def collect_names(pattern: re.Pattern[str]) -> dict[str, str]:
    """By name: the file that says it."""
    texts = {path: path.read_text(encoding="utf-8") for path in list_sources()}
    return {
        match.group(match.lastindex or 0): str(path.relative_to(HOME))
        for path, text in texts.items()
        for match in pattern.finditer(text)
    }


def collect_composed_names() -> dict[str, str]:
    """Names such as `f"{OWN}.ClassMetric"`, put together from constants of their module."""
    found = {}
    for path in list_sources():
        if path.suffix == ".py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            constants = dict(_find_constants(tree))
            for node in ast.walk(tree):
                name = _compose(node, constants) if isinstance(node, ast.JoinedStr) else ""
                if NAMED.fullmatch(name):
                    found[name] = str(path.relative_to(HOME))
    return found


def _find_constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from ((target.id, node.value.value) for target in node.targets if isinstance(target, ast.Name))


def _compose(node: ast.JoinedStr, constants: dict[str, str]) -> str:
    """The text of an f-string of constants; empty where it holds anything else."""
    parts = [
        part.value
        if isinstance(part, ast.Constant)
        else constants.get(part.value.id, "")
        if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name)
        else ""
        for part in node.values
    ]
    return "".join(parts) if all(parts) else ""


def resolve_name(name: str) -> object:
    """What a dotted path names: the longest part that is a module is imported, the rest are attributes."""
    parts = re.split("[.:]", name)
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        try:
            found: object = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not (error.name and module.startswith(error.name)):
                raise  # a module of ours that imports what is not there
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


NAMES = {**collect_names(NAMED), **collect_composed_names()}


def test_names_are_found_in_code_in_pages_and_put_together():
    assert NAMES["taxiway.components.trainer.run_fn.run_fn"] == "components/trainer/component.py"
    assert NAMES["taxiway.components.evaluation.metrics.ClassMetric"] == "components/evaluation/config.py"
    assert any(place.startswith("docs/") for place in NAMES.values())


@pytest.mark.parametrize("name", sorted(NAMES))
def test_what_is_named_is_there(name):
    try:
        resolve_name(name)
    except (AttributeError, ModuleNotFoundError) as error:
        raise AssertionError(f"{NAMES[name]} names {name}: {error}") from error


def test_no_name_is_there_that_is_not():
    with pytest.raises(AttributeError):
        resolve_name("taxiway.components.errors.NoSuchError")
    with pytest.raises(AttributeError):
        resolve_name("taxiway.components.no_such_module")


def test_every_module_that_is_run_can_be_found():
    """`python -m`, in strings, images, recipes and pages."""
    run = collect_names(RUN_AS_MODULE)
    assert "taxiway.pipeline.kubeflow.entrypoint" in run
    missing = {name: place for name, place in run.items() if importlib.util.find_spec(name) is None}
    assert not missing
    former = {name: place for name, place in run.items() if name.startswith(PACKAGES)}
    assert not former


def test_no_string_says_a_module_s_former_name():
    """A folder `components` where the user stands would be imported in its place."""
    found = {
        node.value: str(path.relative_to(HOME))
        for path in list_sources()
        if path.suffix == ".py" and path.relative_to(HOME).parts[0] != "tests"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and FORMER.fullmatch(node.value)
    }
    assert found == {
        FORMER_BUILT_IN: "components/transform/config.py",
        FORMER_ENTRY_POINT: "pipeline/emulator/commands.py",
    }
