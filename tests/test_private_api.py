"""What is private in TensorFlow, Keras, TFX, Beam or kfp is named in the modules `*_private.py` alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
PRIVATE_MODULES = {
    "components/beam/beam_private.py",
    "components/files/beam_private.py",
    "components/optimizer/tensorflow_private.py",
    "components/processes/tensorflow_private.py",
    "components/saved_models/tensorflow_private.py",
    "components/statistics/tfdv_private.py",
    "components/tables/tfx_bsl_private.py",
    "components/training/tensorflow_private.py",
    "components/transform/tft_private.py",
    "pipeline/tfx_private.py",
}
OTHERS_ALLOWED = {
    "pipeline/bench/children/tfx_taxi.py",  # runs TFX's own example, of which nothing is public
    "pipeline/tracking/tfma_pb2.py",  # written by protoc
}
PRIVATE_TEXT = re.compile(
    r"tensorflow\.(?:python|compiler)|tf_keras\.src|__internal__|tfx_bsl\.coders|tensorflow_transform\.(?:saved|schema_inf|impl_helper)"
    r"|tensorflow_data_validation\.(?:statistics|utils)"
    r"|fingerprinting_utils|Graph\.unique_name =|\._imported|_create_all_weights|_resource_apply|_decayed_lr|_get_hyper"
    r"|_id_in_cluster|_make_callable_from_options|_pywrap|_ZN\d|_PIPELINE_NODE_DO_FN|TITLE_TO_CLASS_PATH"
    r"|get_function_args_defaults"
    r"|super\(\)\._call|import apache_beam\.io\.localfilesystem|apache_beam\.io\.localfilesystem import"
)
"""Modules of others that only look public, mangled symbols, and what our subclasses override."""
DOCUMENTED = {"_exit", "_replace", "_make_beam_pipeline", "_log_startup"}
"""Of `os`, of named tuples, and of TFX's executors, whose subclasses are told to call them."""


def list_modules() -> dict[str, str]:
    """Texts by path in the checkout. `taxiway/` links to the other folders: its own modules are taken alone."""
    files = [*(HOME / "taxiway").glob("*.py"), *(HOME / "components").rglob("*.py"), *(HOME / "pipeline").rglob("*.py")]
    return {str(file.relative_to(HOME)): file.read_text(encoding="utf-8") for file in files}


def list_defined_names(text: str) -> Iterator[str]:
    """Names of functions, classes, variables and attributes that a module makes."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def find_private_uses(text: str, own_names: set[str]) -> list[str]:
    """What a module takes of others that is private by its name or by `PRIVATE_TEXT`."""
    return [
        *(name for name in _list_underscored(text) if name not in own_names | DOCUMENTED),
        *PRIVATE_TEXT.findall(text),
    ]


def _list_underscored(text: str) -> Iterator[str]:
    """Attributes that are read, and modules or names that are imported, with one underscore before them."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        else:
            continue
        yield from (name for name in names if re.match(r"_(?!_)", name))


def test_no_other_module_names_a_private_part() -> None:
    modules = list_modules()
    ours = [text for path, text in modules.items() if path not in PRIVATE_MODULES | OTHERS_ALLOWED]
    own_names = {name for text in ours for name in list_defined_names(text)}
    uses = {path: find_private_uses(text, own_names) for path, text in modules.items()}
    assert len(modules) > 250
    assert {path for path, found in uses.items() if found} == PRIVATE_MODULES | OTHERS_ALLOWED, uses


@pytest.mark.parametrize(
    "text",
    [
        "from tensorflow.python.eager import context",
        "import tf_keras.src.engine",
        "session._extend_graph()",
        "from tfx.orchestration import _runner",
        "from kfp._auth import token",
        "import ml_metadata._store",
        "find('_ZN10tensorflow21DisableXlaCompilationEv')",
    ],
)
def test_a_private_part_is_found(text: str) -> None:
    assert find_private_uses(text, {"_ours"})


def test_own_and_documented_names_are_no_find() -> None:
    assert find_private_uses("from __future__ import annotations\nself._ours(os._exit)", {"_ours"}) == []
