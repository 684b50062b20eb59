"""The private names are there in the versions of the lock, and a message says so where one is gone."""

import contextlib
import gc
import weakref
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from taxiway.components.cache_keys import name_inputs_read_in_part
from taxiway.pipeline import tfx_private
from taxiway.pipeline.tfx_private import PrivateNameError, require_name


def test_a_name_that_is_gone_is_named_with_the_way_out():
    with pytest.raises(PrivateNameError, match=r"(?s)ml-metadata \d.* no Store\._call any more.*requirements-\w+\."):
        require_name(type("Store", (), {}), "_call", "ml-metadata")


def test_the_beam_runner_launches_nodes_through_our_class():
    from tfx.orchestration.beam import beam_dag_runner

    class Node(beam_dag_runner.PipelineNodeAsDoFn):
        pass

    runner = tfx_private.make_beam_dag_runner(Node)
    assert isinstance(runner, beam_dag_runner.BeamDagRunner)
    assert runner._PIPELINE_NODE_DO_FN_CLS is Node
    assert beam_dag_runner.BeamDagRunner._PIPELINE_NODE_DO_FN_CLS is beam_dag_runner.PipelineNodeAsDoFn


def test_tfx_finds_a_registered_class_by_its_title(monkeypatch):
    from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2
    from tfx.orchestration.kubeflow.v2 import compiler_utils
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils

    monkeypatch.setattr(compiler_utils, "TITLE_TO_CLASS_PATH", dict(compiler_utils.TITLE_TO_CLASS_PATH))
    tfx_private.register_artifact_class("sample.Kind", "taxiway.components.artifacts.Verdict")
    schema = pipeline_pb2.ArtifactTypeSchema(instance_schema="title: sample.Kind\ntype: object\n")
    found = kubeflow_v2_entrypoint_utils._retrieve_class_path(schema)
    assert found == "taxiway.components.artifacts.Verdict"


def test_a_cache_key_holds_what_the_node_reads(monkeypatch):
    from tfx.orchestration.portable import cache_utils
    from tfx.proto.orchestration import pipeline_pb2

    def get_cache_context(metadata_handle, pipeline_node, pipeline_info, input_artifacts=None, parameters=None):
        return set(input_artifacts)

    monkeypatch.setattr(cache_utils, "get_cache_context", get_cache_context)
    for _ in range(2):
        tfx_private.key_caches_by_what_is_read()
    asked = {"metadata_handle": None, "pipeline_node": pipeline_pb2.PipelineNode(), "pipeline_info": None}
    asked["input_artifacts"] = {"model": [], "baseline_model": []}
    assert cache_utils.get_cache_context(**asked) == {"model", "baseline_model"}
    told = name_inputs_read_in_part(["baseline_model"])
    assert cache_utils.get_cache_context(**asked, parameters={"label": "tip", **told}) == {"model"}


def test_every_call_of_a_store_passes_the_guard():
    entered = []

    @contextlib.contextmanager
    def guard():
        entered.append(True)
        yield

    config = pb.ConnectionConfig()
    config.fake_database.SetInParent()
    store = tfx_private.open_guarded_store(config, guard)
    entered.clear()
    assert store.get_artifacts() == [] and store.get_context_by_type_and_name("run", "x") is None
    assert len(entered) == 2


def test_a_store_closes_its_file_as_soon_as_nobody_holds_it():
    config = pb.ConnectionConfig()
    config.fake_database.SetInParent()
    gc.disable()
    try:
        reference = weakref.ref(tfx_private.open_guarded_store(config, contextlib.nullcontext))
        assert reference() is None, "a cycle would keep the file open"
    finally:
        gc.enable()


def test_a_name_that_is_there_is_returned():
    assert require_name(Path, "name", "tfx") is Path.name
