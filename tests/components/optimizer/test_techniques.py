"""The registry: what a technique's entry says, and that nothing else has to know of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from taxiway.components.optimizer import variants
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.techniques import (
    TECHNIQUES,
    TechniqueSpec,
    find_hardware,
    find_runtime,
    split_techniques,
)


def test_every_entry_names_an_attribute_of_a_file():
    """Without importing it: some of them import converters that take seconds."""
    for spec in TECHNIQUES.values():
        module, _, attribute = spec.module.partition(":")
        found = importlib.util.find_spec(module)
        assert found is not None and found.origin is not None, spec.name
        assert f"\n{attribute} = " in Path(found.origin).read_text(), spec.name


def test_every_file_of_a_technique_is_registered():
    files = {path.stem for path in Path(variants.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == {spec.module.partition(":")[0].rpartition(".")[2] for spec in TECHNIQUES.values()}


def test_what_pays_later_is_a_later_technique():
    for spec in TECHNIQUES.values():
        assert all(TECHNIQUES[name].stage == "runtime" for name in spec.pays_in)


@pytest.mark.parametrize(
    ("variant", "runtime", "hardware"),
    [
        ("reference", "tf_serving", "cpu"),
        ("magnitude_pruned+frozen", "tf_serving", "cpu"),
        ("xla", "tf_serving", "cpu"),
        ("structured_pruned+tflite_int8", "edge", "cpu"),
        ("onnx", "triton", "cpu"),
        ("tensorrt_fp16", "tf_serving", "gpu"),
        ("sparsity_2_4+tensorrt_engine_int8", "triton", "gpu"),
    ],
)
def test_for_what_a_variant_is_made(variant, runtime, hardware):
    assert (find_runtime(variant), find_hardware(variant)) == (runtime, hardware)


def test_names_of_variants_are_chains():
    assert split_techniques("reference") == ()
    assert split_techniques("magnitude_pruned+frozen") == ("magnitude_pruned", "frozen")


def test_one_entry_is_all_that_a_new_technique_needs(monkeypatch, tmp_path):
    """Its name begins like those of another runtime, and says nothing."""
    (tmp_path / "own_technique.py").write_text("TECHNIQUE = object()\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = TechniqueSpec("onnx_like", "own_technique:TECHNIQUE", "precision", "edge", "gpu")
    monkeypatch.setitem(TECHNIQUES, spec.name, spec)
    config = OptimizationConfig(variants=("structured_pruned+onnx_like",))
    assert (find_runtime(config.variants[0]), find_hardware(config.variants[0])) == ("edge", "gpu")
    assert type(variants.load_technique("onnx_like")) is object
