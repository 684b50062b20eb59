"""Every technique on a trained model; what the files hold is read again here, not taken from the checks alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from taxiway.components.contract import serving_model_dir
from taxiway.components.optimizer.config import OptimizationConfig
from taxiway.components.optimizer.variants import sparsity_2_4, structured_pruned
from taxiway.components.saved_models.decision_rule import read_decision_rule
from tests.components.optimizer.conftest import ALL, EXPORTED, child, job, run


def kernels(file: Path) -> dict[str, np.ndarray]:
    """Kernels in a Keras weights file, by layer."""
    found: dict[str, np.ndarray] = {}
    with h5py.File(file) as content:
        content.visititems(
            lambda name, item: found.update({name.split("/")[0]: np.array(item)}) if name.endswith("kernel:0") else None
        )
    return found


def test_every_technique_was_tried_and_what_works_here_works(everything):
    found, _ = everything
    status = {v.name: v.status for v in found.variants if v.name in ALL}
    assert set(status) == set(ALL)
    cannot = {"tensorrt_fp32", "tensorrt_engine_int8", "xla"}
    broken = {v.name: v.reason for v in found.variants if v.status != "measured" and v.name not in cannot}
    assert not broken


def test_the_answers_of_every_runtime_are_the_reference_s(everything):
    found, _ = everything
    limits = {
        "frozen": 1e-6,
        "lean_inputs": 1e-6,
        "tflite_float32": 1e-5,
        "onnx": 1e-5,
        "float16": 5e-3,
        "tflite_float16": 5e-3,
    }
    limits |= {"int8_weights": 0.03, "int8_dynamic": 0.2, "int8_static": 0.2, "tflite_dynamic": 0.2}
    for name, limit in limits.items():
        assert found.find_variant(name).output_error.max < limit, name


def test_whole_path_and_core_are_both_measured(everything):
    found, _ = everything
    for name in ("frozen", "lean_inputs", "float16", "int8_weights"):
        assert found.find_variant(name).find_latency(16) and found.find_variant(name).find_latency(16, "core"), name
    assert found.find_variant("onnx").find_latency(16) is None
    assert found.find_variant("onnx").find_latency(16, "core")


def test_magnitude_sparsity_is_there_after_the_wrappers_are_off(everything):
    found, out = everything
    variant = found.find_variant("magnitude_pruned")
    sparsities = {c.name: c.figures["sparsity"] for c in variant.checks}
    assert sparsities == {"sparsity:hidden_0": 0.75, "sparsity:hidden_1": 0.75}
    assert variant.size.compressed_ratio > 1.02
    assert abs(variant.size.ratio - 1) < 0.02  # zeros on disk are as large as other numbers
    written = kernels(out / "exports" / "magnitude_pruned" / "training" / "weights.h5")
    assert np.mean(written["hidden_1"] == 0) == pytest.approx(0.75)
    assert np.mean(written["logits"] == 0) < 0.1


def test_two_of_every_four_weights_along_the_input_axis_are_zero(everything):
    written = kernels(everything[1] / "exports" / "sparsity_2_4" / "training" / "weights.h5")
    assert written["hidden_0"].shape[0] % 4 == 0
    for name in ("hidden_0", "hidden_1"):
        for column in written[name].T:
            assert (np.count_nonzero(column.reshape(-1, 4), axis=1) <= 2).all(), name
    assert np.count_nonzero(written["logits"]) == written["logits"].size
    untouched = next(c for c in everything[0].find_variant("sparsity_2_4").checks if c.name == "untouched")
    assert untouched.figures["untouched"] == []


def test_a_layer_whose_inputs_4_does_not_divide_has_no_pattern_and_is_named():
    found = {"odd": np.ones((30, 32)), "even": np.ones((32, 32)), "small": np.ones((4, 4)), "logits": np.ones((32, 1))}
    context = SimpleNamespace(config=OptimizationConfig())
    assert sparsity_2_4._select_layers(found, context) == (["even"], ["odd"])


def test_structured_pruning_leaves_smaller_layers(everything):
    smaller = kernels(everything[1] / "exports" / "structured_pruned" / "training" / "weights.h5")
    assert smaller["hidden_1"].shape == (32, 16)
    assert smaller["logits"].shape == (16, 1)
    numbers, positions, embedding = 4, 3, 2  # half of 4 dimensions, at two positions of `buckets` and one category
    assert smaller["hidden_0"].shape == (numbers + positions * embedding, 32)


def test_structured_pruning_removes_exactly_what_was_not_read():
    """Neurons that nothing reads are worth nothing: with only those removed, the function is the same."""
    random = np.random.default_rng(0)
    kernel, reader = random.normal(size=(5, 8)), random.normal(size=(8, 1))
    reader[[1, 4]] = 0
    kept = {"hidden_0": [kernel, np.zeros(8)], "logits": [reader, np.zeros(1)]}
    assert structured_pruned._shrink_layer(kept, "hidden_0", "logits", 6 / 8) == 6
    read = [0, 2, 3, 5, 6, 7]
    np.testing.assert_array_equal(kept["hidden_0"][0], kernel[:, read])
    np.testing.assert_array_equal(kept["logits"][0], reader[read])
    x = random.normal(size=(20, 5))
    before = np.maximum(x @ kernel, 0) @ reader
    after = np.maximum(x @ kept["hidden_0"][0], 0) @ kept["logits"][0]
    np.testing.assert_allclose(before, after)


def test_structured_pruning_cuts_embedding_dimensions_that_nothing_reads():
    """Two positions of three dimensions behind one number; the first layer reads nothing of the second dimension."""
    random = np.random.default_rng(1)
    table, kernel = random.normal(size=(10, 3)), random.normal(size=(1 + 2 * 3, 5))
    kernel[[2, 5]] = 0
    kept = {"embedding": [table], "hidden_0": [kernel, np.zeros(5)]}
    assert structured_pruned._shrink_embedding(kept, positions=2, dim=3, share=2 / 3) == 2
    np.testing.assert_array_equal(kept["embedding"][0], table[:, [0, 2]])
    np.testing.assert_array_equal(kept["hidden_0"][0], kernel[[0, 1, 3, 4, 6]])


@pytest.mark.parametrize(("neurons", "share", "left"), [(4, 0.01, 1), (7, 0.5, 4), (16, 0.4, 6), (16, 0.55, 12)])
def test_how_many_neurons_stay(neurons, share, left):
    """At least one; from 8 on a multiple of 4."""
    chosen = structured_pruned.select_best(np.arange(neurons, dtype=float), share)
    assert chosen.tolist() == list(range(neurons - left, neurons))


def test_quantized_weights_are_stored_as_int8(everything):
    found, _ = everything
    for name in ("int8_weights", "int8_dynamic", "int8_static"):
        (check,) = [c for c in found.find_variant(name).checks if "int8_bytes" in c.figures]
        assert check.figures["int8_bytes"] >= 64 * 32, name
    sizes = {
        name: found.find_variant(name).size.bytes for name in ("tflite_float32", "tflite_float16", "tflite_dynamic")
    }
    assert sizes["tflite_dynamic"] < sizes["tflite_float16"] < sizes["tflite_float32"]


def test_fake_quantization_stays_off_integer_inputs_and_pays_in_tflite(everything):
    variant = everything[0].find_variant("quantization_aware+tflite_int8")
    fake = next(c for c in variant.checks if c.name == "fake_quantization")
    assert fake.figures["nodes"] > 0
    assert variant.size.bytes < everything[0].find_variant("tflite_float32").size.bytes


def test_xla_is_refused_unless_the_server_compiles(everything):
    reason = everything[0].find_variant("xla").reason
    assert "--xla_cpu_compilation_enabled" in reason


def test_without_tensorrt_the_engine_says_what_to_install(everything):
    variant = everything[0].find_variant("tensorrt_engine_int8")
    if importlib.util.find_spec("tensorrt_rtx") is None:
        assert variant.status == "refused"
        assert "taxiway[tensorrt-rtx]" in variant.reason
    else:
        assert variant.status == "exported", variant.reason


def test_exports_hold_the_variant_and_a_triton_repository(everything):
    found, out = everything
    assert set(found.exports) == {"onnx", *EXPORTED}
    model = out / "exports" / "onnx" / "triton" / "label_onnx"
    assert (model / "1" / "model.onnx").exists()
    text = (model / "config.pbtxt").read_text()
    assert 'platform: "onnxruntime_onnx"' in text
    assert 'name: "numeric"\n  data_type: TYPE_FP32\n  dims: [ 2 ]' in text
    assert 'name: "category_000"\n  data_type: TYPE_INT64\n  dims: [ 1 ]\n  reshape { shape: [ ] }' in text


def test_every_variant_serves_the_label_that_the_trained_models_rule_decides(everything, trained, tmp_path):
    folders = [serving_model_dir(str(everything[1] / "exports" / name)) for name in EXPORTED]
    rule = read_decision_rule(serving_model_dir(str(trained / "model")))
    assert rule and rule.temperature != 1 and rule.threshold != 0.5
    assert [read_decision_rule(folder) for folder in folders] == [rule] * len(folders)
    found = child("labels", tmp_path / "log", servables=folders, examples=str(trained / "examples"))
    for folder, answers in zip(folders, found["answers"], strict=True):
        decided = np.where(np.float32(answers["scores"]) > np.float32(rule.threshold), "yes", "no")
        assert answers["labels"] == decided.tolist() and set(decided) == {"yes", "no"}, folder


def test_the_chosen_model_can_be_trained_on(everything):
    _, out = everything
    assert (out / "model" / "training" / "weights.h5").exists()
    assert (out / "model" / "Format-Serving" / "saved_model.pb").exists()


def test_a_structure_is_combined_once_its_quality_held(trained, tmp_path):
    changes = {"variants": ["int8_weights", "magnitude_pruned", "structured_pruned"], "fine_tuning": {"epochs": 1}}
    changes["constraints"] = {"max_quality_drop": 0.1, "max_loss_rise": 1.0}
    found = run(job(trained, tmp_path, **changes), tmp_path / "log")
    together = found.find_variant("structured_pruned+int8_weights")
    assert together.status == "measured", together.reason
    assert together.techniques == ["structured_pruned", "frozen", "lean_inputs", "int8_weights"]
    assert {"smaller_layers", "weights_are_int8"} <= {check.name for check in together.checks}
    assert together.size.bytes < found.find_variant("int8_weights").size.bytes
    sparse = found.find_variant("magnitude_pruned+int8_weights")
    assert sparse.status == "not_tried"
    assert "every multiplication" in sparse.reason


def test_a_branch_that_lost_its_quality_is_dropped(trained, tmp_path):
    changes = {
        "variants": ["structured_pruned", "frozen", "structured_pruned+float16"],
        "structured": {"keep_neurons_fraction": 0.02},
        "fine_tuning": {"epochs": 0.02, "max_steps": 1},
    }
    found = run(job(trained, tmp_path, **changes), tmp_path / "log")
    assert found.find_variant("structured_pruned").rejected
    for name in ("structured_pruned+frozen", "structured_pruned+float16"):
        assert found.find_variant(name).status == "not_tried"
        assert "its branch was dropped: structured_pruned: auc may be worse" in found.find_variant(name).reason


def test_the_report_says_where_the_time_goes(everything):
    said = everything[0].decision.findings
    assert len(said) == 1
    assert "on parsing and transform" in said[0]
    assert said[0] in everything[0].decision.reasons
