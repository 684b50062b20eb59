"""The seam between the stacks: what it says of the installed one, and that nothing else asks for a version."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from google.protobuf import json_format

from taxiway.components import stack_seam

HOME = Path(__file__).parents[2]
MAY_ASK = {
    "components/stack_seam.py",
    "pipeline/stacks.py",  # which stack is installed, or a record's versions belong to
    "pipeline/runs/environment.py",  # what is written into a run's record
    "pipeline/code_fingerprint.py",  # what belongs to the cache key
    "pipeline/tfx_private.py",  # what a message shows
    "pipeline/kubeflow/platform.py",  # the same
    "pipeline/maintenance/advisories.py",  # which installed versions an advisory names
    "pipeline/maintenance/check_versions.py",  # the doctor: the installed versions against the asked ones
    "components/beam/worker_facts.py",  # what a worker is told apart by
    "pipeline/bench/quality/kept_results.py",  # the releases that kept results of a benchmark were measured with
    "pipeline/kubeflow/examination/server.py",  # the version of a Kubeflow server, not of a package
}
"""Modules that may ask for the version of a package, or compare versions, with the reason."""
QUESTION = re.compile(
    r"packaging\.(?:version|specifiers)|from packaging import|pkg_resources|LooseVersion"
    r"|\bversion_info\b|\bhexversion\b|python_version_tuple"
    r"|metadata\.version\(|from importlib\.metadata import|\bname_stack\(\)\s*(?:[!=]=|in\b)|\.VERSION\b"
    r"|(?:[<>=]|\bin|\bint\(|\bmap\(int,)\s*\w+(?:\.\w+)*\.__version__"
    r"|__version__(?:\.\w+\(|\[|\s*(?:[<>=!]=|[<>]|\bin\b))"
)
"""Text that asks; the version that a message shows (`{tf.__version__}`) is no question."""


def find_questions(text: str) -> list[str]:
    return QUESTION.findall(text)


def test_no_other_module_asks_for_a_version():
    files = [path for room in ("components", "pipeline") for path in (HOME / room).rglob("*.py")]
    files += (HOME / "taxiway").glob("*.py")
    assert len(files) > 400
    asking = {str(path.relative_to(HOME)) for path in files if find_questions(path.read_text(encoding="utf-8"))}
    assert asking == MAY_ASK


@pytest.mark.parametrize(
    "text",
    [
        "from packaging.version import Version",
        "from packaging import version",
        "from sys import version_info",
        "if sys.version_info >= (3, 12):",
        'if tf.__version__ >= "2.18":',
        'if tf.__version__.startswith("2.16"):',
        'if metadata.version("numpy").split(".")[0] == "2":',
        'numpy = metadata.version("numpy")',
        "if int(np.__version__[0]) > 1:",
        'if "2.16" in tf.__version__:',
        'if "2.18" <= tf.__version__:',
        "tuple(map(int, tf.__version__.split(chr(46))[:2]))",
        'if name_stack() == "tf216":',
    ],
)
def test_a_question_is_found(text):
    assert find_questions(text)


@pytest.mark.parametrize("text", ['f"TensorFlow {tf.__version__} has no {name}"', '"tensorflow": tf.__version__,'])
def test_what_is_shown_is_no_question(text):
    assert not find_questions(text)


def test_the_stack_is_named_by_what_is_installed():
    stack = {"2.16": "tf216", "2.21": "current"}[metadata.version("tensorflow").rpartition(".")[0]]
    assert stack_seam.name_stack() == stack
    assert (HOME / stack_seam.name_lock()).is_file()


def test_fields_that_hold_nothing_are_written():
    from tensorflow_serving.apis import model_pb2

    written = json_format.MessageToDict(model_pb2.ModelSpec(name="taxi"), **stack_seam.make_json_options())
    assert written == {"name": "taxi", "signatureName": ""}


def test_repeated_fields_are_told_apart():
    from tensorflow_metadata.proto.v0 import schema_pb2

    fields = schema_pb2.Feature.DESCRIPTOR.fields_by_name
    assert stack_seam.is_repeated(fields["in_environment"]) and not stack_seam.is_repeated(fields["name"])


def test_an_option_that_one_stack_does_not_have_reads_as_not_given():
    import tensorflow_data_validation as tfdv

    options = tfdv.StatsOptions()
    assert stack_seam.get_slice_queries(options) is None
    if hasattr(options, "experimental_slice_sqls"):
        options.experimental_slice_sqls = ["SELECT STRUCT(x) FROM example.x"]
        assert stack_seam.get_slice_queries(options) == options.experimental_slice_sqls


def test_the_lock_pins_what_the_seam_says(monkeypatch):
    """The image of the server is that of the client's protos, on both stacks."""
    for stack, image in {"tf216": "2.16.1", "current": "2.19.1"}.items():
        lock = (HOME / f"requirements-{stack}.lock").read_text(encoding="utf-8")
        assert f"\ntensorflow-serving-api=={image} " in lock
        monkeypatch.setattr(stack_seam.metadata, "version", lambda name, image=image: image)
        assert stack_seam.find_serving_image() == f"tensorflow/serving:{image}"


@pytest.mark.parametrize(("version", "can"), [("2.16.2", True), ("2.21.0", False)])
def test_tf_trt_is_refused_where_tensorflow_has_none(monkeypatch, version, can):
    monkeypatch.setattr(stack_seam.metadata, "version", lambda name: version)
    obstacle = stack_seam.find_tensorrt_obstacle()
    assert (obstacle == "") is can
    assert can or (version in obstacle and "TAXIWAY_STACK=tf216" in obstacle)
