"""The op allow-list: what the product emits passes, what touches files, Python or the network does not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from taxiway.components.errors import ServingError
from taxiway.components.saved_models.signature_inputs import read_signature_inputs
from taxiway.components.serving.requests import local_predict
from taxiway.components.serving.safety import allowed_ops, load_check, tensorrt_ops
from taxiway.components.serving.versions import staging
from taxiway.components.tables import reading_rules


def save(folder: Path, body: Callable[[tf.Tensor], tf.Tensor]) -> Path:
    """A model whose only signature is `body` of one string input."""
    module = tf.Module()
    module.serve = tf.function(body, input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


def test_models_of_the_contract_pass(taxi_model: Path) -> None:
    """Variables, a vocabulary file as an asset, parsing, two signatures."""
    assert allowed_ops.check_saved_model(taxi_model) == []


def _print(x: tf.Tensor) -> tf.Tensor:
    tf.print(x)
    return x


def _write(x: tf.Tensor) -> tf.Tensor:
    tf.io.write_file("/tmp/owned", x[0])
    return x


def _save(x: tf.Tensor) -> tf.Tensor:
    tf.raw_ops.SaveV2(prefix="/tmp/owned", tensor_names=["a"], shape_and_slices=[""], tensors=[x])
    return x


@pytest.mark.parametrize(
    ("op", "body"),
    [
        ("ReadFile", lambda x: tf.map_fn(tf.io.read_file, x)),
        ("WriteFile", _write),
        ("PrintV2", _print),
        ("SaveV2", _save),
        (
            "RestoreV2",
            lambda x: tf.raw_ops.RestoreV2(prefix=x[0], tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.string])[
                0
            ],
        ),
        ("EagerPyFunc", lambda x: tf.py_function(lambda y: y, [x], tf.string)),
        ("PyFunc", lambda x: tf.numpy_function(lambda y: y, [x], tf.string)),
        ("MatchingFiles", lambda x: tf.io.matching_files(x)),
    ],
)
def test_ops_on_files_and_python_are_refused(tmp_path: Path, op: str, body: Callable[[tf.Tensor], tf.Tensor]) -> None:
    problems = allowed_ops.check_saved_model(save(tmp_path / "m", body), also_allowed=[op])
    assert any(problem.startswith(f"{op} (") for problem in problems), problems


def test_an_unknown_op_needs_the_configuration(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", lambda x: tf.strings.as_string(tf.strings.unicode_script(tf.strings.length(x))))
    assert allowed_ops.check_saved_model(folder) and "UnicodeScript" in allowed_ops.check_saved_model(folder)[0]
    assert allowed_ops.check_saved_model(folder, also_allowed=["UnicodeScript"]) == []


def _read_image(image: tf.Tensor) -> tf.Tensor:
    """What served detectors do: a file's bytes, decoded, made smaller, boxes chosen."""
    pixels = tf.image.resize(tf.image.convert_image_dtype(tf.io.decode_jpeg(image, 3), tf.float32), [32, 32])
    pixels = tf.image.adjust_contrast(pixels, 1.5)
    boxes = tf.reshape(pixels[:4, :4, :1], [4, 4])
    chosen = tf.image.non_max_suppression(boxes, boxes[:, 0], 2)
    return tf.cast(tf.size(chosen), tf.float32) + tf.reduce_mean(
        tf.image.crop_and_resize(pixels[None], boxes, [0] * 4, [2, 2])
    )


def test_models_of_images_and_sound_need_no_exception(tmp_path: Path) -> None:
    model = save(tmp_path / "images", lambda x: tf.map_fn(_read_image, x, fn_output_signature=tf.float32))
    assert allowed_ops.check_saved_model(model) == []
    sound = save(
        tmp_path / "sound",
        lambda x: tf.abs(tf.signal.stft(tf.audio.decode_wav(x[0])[0][:, 0], 256, 128)),
    )
    assert allowed_ops.check_saved_model(sound) == []


def test_what_is_allowed_is_an_op_and_never_one_that_is_refused() -> None:
    """Names that no op has would hide a spelling mistake; a few are of other releases, or written by Grappler."""
    from tensorflow.python.framework import op_def_registry

    elsewhere = {"DateTime", "Gelu", "SearchSorted", "Unstack", "_FusedBatchMatMulV2", "_TensorToHashBucketStrong"}
    assert {name for name in allowed_ops.ALLOWED if op_def_registry.get(name) is None} <= elsewhere
    assert not allowed_ops.ALLOWED & allowed_ops.REFUSED
    assert not [name for name in allowed_ops.ALLOWED if "File" in name or "PyFunc" in name or "Rpc" in name]


def edited(taxi_model: Path, folder: Path, edit: Callable[[Any], None]) -> Path:
    shutil.copytree(taxi_model, folder)
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    edit(model.meta_graphs[0])
    path.write_bytes(model.SerializeToString())
    return folder


def test_a_vocabulary_elsewhere_is_refused(taxi_model: Path, tmp_path: Path) -> None:
    """The call passes a constant of the attacker's instead of the asset."""

    def redirect(graph: Any) -> None:
        graph.asset_file_def[0].tensor_info.name = "another:0"

    problems = allowed_ops.check_saved_model(edited(taxi_model, tmp_path / "m", redirect))
    assert any("reads a file that is no asset" in problem for problem in problems)


def hold_engine(graph: Any) -> None:
    """What TF-TRT writes: an engine in an asset, read by an initializer in the way that vocabularies are."""
    graph.graph_def.node.add(name="handle", op="CreateTRTResourceHandle")
    graph.graph_def.node.add(name="engine", op="TRTEngineOp")
    readers = [
        n for f in graph.graph_def.library.function for n in f.node_def if n.op == "InitializeTableFromTextFileV2"
    ]
    assert readers
    for node in readers:
        node.op = "InitializeTRTResource"


def test_an_engine_needs_its_ops_named(monkeypatch: pytest.MonkeyPatch, taxi_model: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(tensorrt_ops, "find_tensorrt_obstacle", lambda: "")
    folder = edited(taxi_model, tmp_path / "m", hold_engine)
    problems = allowed_ops.check_saved_model(folder)
    assert {problem.split(" ")[0] for problem in problems} == set(tensorrt_ops.OPS)
    remedy = problems[0].partition("serving.allowed_ops (--allow-op) takes ")[2]
    assert allowed_ops.check_saved_model(folder, remedy.split(", ")) == []


@pytest.mark.parametrize(
    ("place", "reason"),
    [("asset", "reads a file that is no asset"), ("signature", "reads a file elsewhere than in an initializer")],
)
def test_an_engine_elsewhere_is_refused_though_its_ops_are_named(
    monkeypatch: pytest.MonkeyPatch, taxi_model: Path, tmp_path: Path, place: str, reason: str
) -> None:
    def redirect(graph: Any) -> None:
        hold_engine(graph)
        if place == "asset":
            graph.asset_file_def[0].tensor_info.name = "another:0"
        else:
            output = next(iter(graph.signature_def["serving_default"].outputs.values()))
            needed = next(n for n in graph.graph_def.node if n.name == output.name.split(":")[0])
            graph.graph_def.node.add(name="late", op="InitializeTRTResource", input=["handle", "handle"])
            needed.input.append("^late")

    monkeypatch.setattr(tensorrt_ops, "find_tensorrt_obstacle", lambda: "")
    problems = allowed_ops.check_saved_model(edited(taxi_model, tmp_path / "m", redirect), tensorrt_ops.OPS)
    assert any(problem.startswith("InitializeTRTResource") and reason in problem for problem in problems), problems


def test_an_engine_is_refused_with_the_stack_s_reason(
    monkeypatch: pytest.MonkeyPatch, taxi_model: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(tensorrt_ops, "find_tensorrt_obstacle", lambda: "use the stack tf216")
    folder = edited(taxi_model, tmp_path / "m", hold_engine)
    problems = allowed_ops.check_saved_model(folder, tensorrt_ops.OPS)
    assert problems and all(problem.endswith(" cannot run here: use the stack tf216") for problem in problems)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "missing"])
def test_assets_stay_inside(taxi_model: Path, tmp_path: Path, name: str) -> None:
    def rename(graph: Any) -> None:
        graph.asset_file_def[0].filename = name

    assert (
        f"{name!r} is no file below assets/"
        in allowed_ops.check_saved_model(edited(taxi_model, tmp_path / "m", rename))[0]
    )


def test_the_text_form_links_and_garbage_are_refused(taxi_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(taxi_model, tmp_path / "m"))
    (folder / "saved_model.pbtxt").write_text("")
    assert "saved_model.pbtxt" in allowed_ops.check_saved_model(folder)[0]
    (folder / "saved_model.pbtxt").unlink()
    (folder / "assets" / "link").symlink_to("/etc/passwd")
    with pytest.raises(ServingError, match="symbolic link"):
        allowed_ops.check_saved_model(folder)
    (folder / "assets" / "link").unlink()
    (folder / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(ServingError, match="cannot be parsed"):
        allowed_ops.check_saved_model(folder)
    with pytest.raises(ServingError, match=r"no saved_model\.pb"):
        allowed_ops.check_saved_model(tmp_path)


def test_a_restore_that_writes_a_file_is_refused(taxi_model: Path, tmp_path: Path) -> None:
    """A control input on a `SaveV2` of a constant path: any loader would write it."""

    def write_when_restored(graph: Any) -> None:
        nodes = graph.graph_def.node
        for name, text in (("evil_path", b"/tmp/owned"), ("evil_names", b"a"), ("evil_slices", b"")):
            const = nodes.add(name=name, op="Const")
            const.attr["value"].tensor.string_val.append(text)
        nodes.add(name="evil", op="SaveV2", input=["evil_path", "evil_names", "evil_slices", "evil_names"])
        restore = next(n for n in nodes if n.name == graph.saver_def.restore_op_name)
        restore.input.append("^evil")

    problems = allowed_ops.check_saved_model(edited(taxi_model, tmp_path / "m", write_when_restored))
    assert problems == ["SaveV2 (evil in the graph) writes files when the model is loaded"]


@pytest.mark.parametrize("name", ["saved_model.cpb", "model.pb", "variables2/x", "saved_model.pb.bak"])
def test_other_names_at_the_top_are_refused(taxi_model: Path, tmp_path: Path, name: str) -> None:
    """Newer runtimes load `saved_model.cpb` where it stands beside what was checked."""
    folder = Path(shutil.copytree(taxi_model, tmp_path / "m"))
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    assert "has no place in a SavedModel" in allowed_ops.check_saved_model(folder)[0]


def test_a_version_is_looked_at_before_it_is_loaded(taxi_model: Path, tmp_path: Path) -> None:
    """Names, ops, and the bytes of what we pushed; an op of one's own is allowed by name, a forbidden one never."""
    load_check.check_loadable(taxi_model)
    pushed = tmp_path / "1"
    staging.stage_model(taxi_model, pushed, {}, {})
    load_check.check_loadable(pushed)
    with open(pushed / "variables" / "variables.index", "ab") as file:
        file.write(b"x")
    with pytest.raises(ServingError, match=r"is not loaded: variables/variables\.index has other bytes"):
        load_check.check_loadable(pushed)
    own = save(tmp_path / "own", lambda x: tf.strings.as_string(tf.strings.unicode_script(tf.strings.length(x))))
    with pytest.raises(ServingError, match="--allow-op"):
        load_check.check_loadable(own)
    load_check.check_loadable(own, ["UnicodeScript"])
    with pytest.raises(ServingError, match="PrintV2"):
        load_check.check_loadable(save(tmp_path / "print", _print), ["PrintV2"])


def test_predict_loads_nothing_that_was_changed(taxi_model: Path, tmp_path: Path) -> None:
    staging.stage_model(taxi_model, tmp_path / "taxi" / "1", {}, {})
    (tmp_path / "taxi" / "1" / "saved_model.cpb").write_bytes(b"x")
    with pytest.raises(ServingError, match=r"saved_model\.cpb has no place"):
        local_predict.predict_locally(tmp_path / "taxi", [{"fare": 1.0}])


@pytest.mark.parametrize("name", ["manifest.json", "signature_inputs.json", "reading_rules.json"])
def test_json_of_great_depth_is_a_damaged_file(tmp_path: Path, name: str) -> None:
    """Nobody's bug: who can write into the folder wrote it."""
    file = tmp_path / "assets.extra" / name
    file.parent.mkdir()
    file.write_text("[" * 200_000)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    if name == "manifest.json":
        with pytest.raises(ServingError, match="is not JSON"):
            load_check.check_loadable(tmp_path)
    elif name == "signature_inputs.json":
        with pytest.raises(ServingError, match="cannot be read"):
            read_signature_inputs(tmp_path)
    else:
        with pytest.raises(ServingError, match="cannot be read"):
            reading_rules.read_rules(tmp_path)


def test_a_graph_larger_than_any_protobuf_is_not_read(tmp_path: Path) -> None:
    """A sparse file of 3 GiB."""
    (tmp_path / "saved_model.pb").touch()
    os.truncate(tmp_path / "saved_model.pb", 3 << 30)
    assert allowed_ops.check_saved_model(tmp_path) == ["saved_model.pb is larger than 2 GiB, which no protobuf is"]
