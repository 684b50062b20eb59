"""What code a node really runs, as a digest: an edited helper is a cache miss, an unrelated edit is not.

TFX's cache key knows a node's inputs and properties, not the modules that its executor imports. Here the imports are
followed in the source text, from the executor's module and from the user's own functions, as far as the code is ours or
the user's; installed packages are told apart by the lock.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

OUR_PACKAGES = ("components", "data", "pipeline")
CALLED_BY_STOCK = {
    "tfx.components.evaluator.executor.Executor": (
        "components.evaluation.binary",
        "components.evaluation.extractors",
        "components.evaluation.metrics",
    )
}
"""Modules of ours that an installed package's executor is told to call."""
_HOME = Path(__file__).parent.parent
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def pipeline_fingerprint() -> str:
    """The digest of our code behind the pipeline's page: what the provenance of a pushed model names."""
    return code_fingerprint(("pipeline.dag",), (_HOME,))


def node_fingerprints(
    executors: Mapping[str, str], functions: Iterable[str], user_folder: Path | None
) -> dict[str, str]:
    """The digest of each node's code.

    Args:
        executors: By node id: dotted path of the executor's class.
        functions: Dotted paths of the user's functions; they count for every node of ours, since any may call them.
        user_folder: Folder of the configuration, where the user's modules are.

    Returns:
        By node id: a hex digest; nodes whose executor is an installed package's have none, unless it calls our code.
    """
    folders = (_HOME, user_folder) if user_folder else (_HOME,)
    own = tuple(_module_of(function) for function in functions)
    return {
        node: code_fingerprint((*CALLED_BY_STOCK.get(path, (_module_of(path), *own)),), folders)
        for node, path in executors.items()
        if path.split(".", 1)[0] in OUR_PACKAGES or path in CALLED_BY_STOCK
    }


def code_fingerprint(modules: Iterable[str], folders: Iterable[Path]) -> str:
    """Digest of the sources of `modules` and of all that they import from `folders`, as sha256 in hex."""
    digest = hashlib.sha256()
    for name, path in sorted(_closure(tuple(modules), tuple(folders)).items()):
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _module_of(dotted: str) -> str:
    return dotted.rsplit(".", 1)[0]


def _closure(modules: tuple[str, ...], folders: tuple[Path, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _find(name, folders)
        if path is None or name in found:
            continue
        found[name] = path
        waiting += _imports(path, name, path.stat().st_mtime_ns)
        if "." in name:
            waiting.append(_module_of(name))  # a package's __init__ runs first
    return found


def _find(name: str, folders: tuple[Path, ...]) -> Path | None:
    relative = Path(*name.split("."))
    for folder in folders:
        if folder == _HOME and relative.parts[0] not in OUR_PACKAGES:
            continue  # installed, ours is the folder of every package: TensorFlow would be read to its last file
        for candidate in (folder / relative / "__init__.py", (folder / relative).with_suffix(".py")):
            if candidate.is_file():
                return candidate
    return None


@cache
def _imports(path: Path, name: str, _changed: int) -> tuple[str, ...]:
    package = name if path.name == "__init__.py" else _module_of(name) if "." in name else ""
    return tuple(_names(ast.parse(path.read_text(encoding="utf-8")), package))


def _names(tree: ast.AST, package: str) -> Iterator[str]:
    """Modules that a source names: imports anywhere in it, and dotted strings, by which children are started."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)  # the name may be a module
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            yield node.value
            yield _module_of(node.value)


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])
