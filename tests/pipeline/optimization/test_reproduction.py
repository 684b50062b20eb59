"""`--reproduce` loads what a report names, which may come from anywhere."""

from __future__ import annotations

import pytest
from tensorflow.core.protobuf import saved_model_pb2

from taxiway.components.errors import ServingError
from taxiway.components.optimizer.job import GivenModel
from taxiway.components.optimizer.report import write_optimizer_report
from taxiway.pipeline.optimization import reproduction
from tests.components.optimizer.test_report import make_report


@pytest.mark.parametrize("is_given", [True, False])
def test_the_model_of_a_report_is_checked_before_anything_loads(tmp_path, monkeypatch, is_given):
    monkeypatch.setattr(reproduction, "reproduce", lambda *_: pytest.fail("the model was loaded"))
    saved = saved_model_pb2.SavedModel()
    graph = saved.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.graph_def.node.add(name="read", op="ReadFile")
    graph.graph_def.node.add(name="own", op="OpOfOurs")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "saved_model.pb").write_bytes(saved.SerializeToString())
    (tmp_path / "original").mkdir()
    (tmp_path / "original" / "Format-Serving").symlink_to(tmp_path / "theirs", target_is_directory=True)
    made = make_report(tmp_path)
    given = GivenModel(name="m", signature="s", source="random", allowed_ops=("ReadFile", "OpOfOurs"))
    job = made.job.model_copy(update={"model": str(tmp_path / "original"), "given": given if is_given else None})
    write_optimizer_report(made.model_copy(update={"job": job}), tmp_path / "report")
    with pytest.raises(ServingError, match=r"theirs is not loaded.*(ReadFile.*OpOfOurs|OpOfOurs.*ReadFile)") as caught:
        reproduction.reproduce_checked(tmp_path / "report", "frozen", tmp_path / "out")
    assert ("--allow-op OpOfOurs" in caught.value.remedy) == is_given
    with pytest.raises(ServingError, match="ReadFile"):
        reproduction.reproduce_checked(tmp_path / "report", "frozen", tmp_path / "out", ("ReadFile", "OpOfOurs"))
    assert not (tmp_path / "out").exists()
