"""What `taxiway`, `taxiway.components` and `taxiway.pipeline` export, and what an import of it loads."""

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import taxiway
from taxiway.pipeline import code_fingerprint

PACKAGES = ("taxiway", "taxiway.components", "taxiway.pipeline")
COMPONENTS = [
    "Baseline",
    "CuratedSchema",
    "DataGate",
    "Evaluator",
    "ModelExplainer",
    "ModelOptimizer",
    "Pusher",
    "ServingValidator",
    "StatisticsGen",
    "TabularExampleGen",
    "Trainer",
    "Transform",
    "Tuner",
]
LOAD_TFX = [*COMPONENTS, "create_pipeline"]
HEAVY = ("tensorflow", "tfx", "tf_keras", "keras", "apache_beam", "tensorflow_transform", "kfp")
LIGHT_SCRIPT = """
import sys
import taxiway, taxiway.components, taxiway.pipeline
for name in {names}:
    getattr(taxiway, name)
taxiway.load()
print(*[module for module in {heavy} if module in sys.modules])
"""
HEAVY_SCRIPT = """
import os
import taxiway
for name in taxiway.__all__:
    print(name, getattr(taxiway, name).__name__)
assert os.environ["TF_USE_LEGACY_KERAS"] == "1"
"""


def run_script(script):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_the_stub_lists_what_is_exported(package):
    module = import_module(package)
    body = ast.parse(Path(module.__file__).with_suffix(".pyi").read_text()).body
    listed = next(ast.literal_eval(each.value) for each in body if isinstance(each, ast.Assign))
    assert listed == module.__all__
    assert set(listed) <= set(dir(module))


def test_one_package_exports_both_others():
    both = {*import_module("taxiway.components").__all__, *import_module("taxiway.pipeline").__all__}
    assert set(taxiway.__all__) == both


@pytest.mark.parametrize(
    ("owner", "some"),
    [
        (taxiway.Run, {"NodeRecord", "GateRecord", "MetricValues", "VariantRecord"}),
        (taxiway.LineageGraph, {"Node", "Edge"}),
    ],
)
def test_what_a_run_and_a_graph_give_is_exported(owner, some):
    named = {name for text in list_given_types(owner) for name in re.findall(r"\w+", text)}
    modules = [sys.modules[each.__module__] for each in owner.__mro__ if each.__module__.startswith("taxiway.")]
    classes = {name for name in named for module in modules if is_own_class(getattr(module, name, None))}
    assert some <= classes <= set(taxiway.__all__)


def list_given_types(owner):
    """Types of the fields, of what methods return, and of what a graph is made of."""
    yield from map(str, getattr(owner, "__annotations__", {}).values())
    for name, member in inspect.getmembers(owner):
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if inspect.isfunction(function) and not name.startswith("_"):
            yield str(function.__annotations__.get("return", ""))
        elif name == "__init__":
            yield from map(str, function.__annotations__.values())


def is_own_class(value):
    return inspect.isclass(value) and value.__module__.startswith("taxiway.")


def test_every_public_name_can_be_imported():
    lines = run_script(HEAVY_SCRIPT).splitlines()
    assert [line.split()[0] for line in lines] == taxiway.__all__
    assert {line for line in lines if len({*line.split()}) == 2} == {"load load_config"}, (
        "names differ from their home's"
    )


def test_what_is_no_component_loads_neither_tensorflow_nor_tfx():
    light = [name for name in taxiway.__all__ if name not in LOAD_TFX]
    assert {"load", "run", "Run", "LineageGraph", "TrainingConfig"} <= set(light)
    assert run_script(LIGHT_SCRIPT.format(names=light, heavy=HEAVY)).split() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match="has no attribute 'Trainner'"):
        _ = import_module(package).Trainner


def test_exports_do_not_make_a_node_depend_on_every_other_node():
    """A package's `__init__` belongs to the code of every module in it."""
    modules = code_fingerprint._collect_modules(["taxiway.components.gates.executor"], None)
    assert "taxiway.components" in modules
    assert not [name for name in modules if name.startswith(("taxiway.components.optimizer", "taxiway.pipeline"))]
