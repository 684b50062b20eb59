"""A digest of the code that a node runs: an edited helper is a cache miss, an unrelated edit is not.

TFX's cache key knows a node's inputs and properties, not the modules that its executor imports. Here the imports are
followed in the source text, from the executor's module and from the user's own functions, as far as the code is ours or
the user's; of installed packages the versions of those that make what a node writes (`LIBRARIES`) count for every
node, so that a run on another stack takes nothing from the first one's cache.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from taxiway.components.extensions import describe_extensions
from taxiway.components.files.digests import hash_file

OUR_PACKAGE = "taxiway"
CALLED_BY_PATH = {
    "taxiway.components.evaluation.executor.Executor": (
        "taxiway.components.evaluation.executor",
        "taxiway.components.evaluation.binary",
        "taxiway.components.evaluation.metrics",
    )
}
"""Modules of ours that an executor finds by their dotted paths; no user's function is called by it."""
LIBRARIES = (
    "tfx",
    "tensorflow",
    "tf-keras",
    "tensorflow-transform",
    "tensorflow-data-validation",
    "tensorflow-model-analysis",
)
_HOME = Path(__file__).parents[2]
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def fingerprint_pipeline() -> str:
    """The digest of our code behind the pipeline's page: what the provenance of a pushed model names."""
    return fingerprint_code(("taxiway.pipeline.dag",))


def fingerprint_nodes(
    executors: Mapping[str, str], functions: Iterable[str], user_folder: Path | None
) -> dict[str, str]:
    """The digest of each node's code.

    Args:
        executors: Dotted path of the executor's class, by node id.
        functions: Dotted paths of the user's functions; they count for every node of ours, since any may call them.
        user_folder: Folder of the configuration, which holds the user's modules.

    Returns:
        By node id: a hex digest. A node whose executor is an installed package's has that of `LIBRARIES` alone.
    """
    own = tuple(_find_module(function) for function in functions)
    modules = {node: _list_entries(path, own, user_folder) for node, path in executors.items()}
    return {node: fingerprint_code(entries, user_folder, list_libraries()) for node, entries in modules.items()}


def list_libraries() -> dict[str, str]:
    """Versions of the installed packages that make what nodes write, and of those that add parts to ours."""
    return {name: metadata.version(name) for name in LIBRARIES} | describe_extensions()


def _list_entries(executor: str, users_modules: tuple[str, ...], user_folder: Path | None) -> tuple[str, ...]:
    if executor in CALLED_BY_PATH:
        return CALLED_BY_PATH[executor]
    followed = _find_source(_find_module(executor), user_folder) is not None
    return (_find_module(executor), *users_modules) if followed else ()


def fingerprint_code(
    modules: Iterable[str], user_folder: Path | None = None, libraries: Mapping[str, str] | None = None
) -> str:
    """Digest of the sources of `modules` and of all that they import of ours or the user's, as sha256 in hex.

    Args:
        modules: Dotted names.
        user_folder: Folder of the configuration, which holds the user's modules.
        libraries: Versions by package that count too.
    """
    digest = hashlib.sha256(repr(sorted((libraries or {}).items())).encode() if libraries else b"")
    for name, path in sorted(_collect_modules(modules, user_folder).items()):
        digest.update(f"{name}\0{hash_file(path)}\n".encode())
    return digest.hexdigest()


def _find_module(dotted: str) -> str:
    return dotted.rsplit(".", 1)[0]


def _collect_modules(modules: Iterable[str], user_folder: Path | None) -> dict[str, Path]:
    sources: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _find_source(name, user_folder)
        if path is None or name in sources:
            continue
        sources[name] = path
        waiting += _list_imports(path, name, path.stat().st_mtime_ns)
        if "." in name:
            waiting.append(_find_module(name))  # a package's __init__ runs first
    return sources


def _find_source(name: str, user_folder: Path | None) -> Path | None:
    """The module's file. When installed, ours are beside every other package: only `taxiway` is looked up there."""
    relative = Path(*name.split("."))
    folder = _HOME if relative.parts[0] == OUR_PACKAGE else user_folder
    if folder is None:
        return None
    candidates = (folder / relative / "__init__.py", (folder / relative).with_suffix(".py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@cache
def _list_imports(path: Path, name: str, _changed: int) -> tuple[str, ...]:
    package = name if path.name == "__init__.py" else _find_module(name) if "." in name else ""
    return tuple(_find_module_names(ast.parse(path.read_text(encoding="utf-8")), package))


def _find_module_names(tree: ast.AST, package: str) -> Iterator[str]:
    """Modules that a source names: imports anywhere in it, and dotted strings, by which children are started."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _resolve_base(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)  # the name may be a module
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            yield node.value
            yield _find_module(node.value)


def _resolve_base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])
