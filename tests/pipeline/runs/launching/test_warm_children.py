"""What a run's warm parent imports: what the run uses, and nothing else."""

import pytest

from taxiway.pipeline.config import DEFAULT_CONFIG, load_config
from taxiway.pipeline.runs.launching import warm_children
from taxiway.pipeline.runs.request import RunRequest

TRAINER, PRUNING = "taxiway.components.training.run", "taxiway.components.optimizer.variants.magnitude_pruned"
SESSION = "taxiway.components.saved_models.session"


def preloads(*overrides, **part):
    return warm_children.list_preloads(load_config(DEFAULT_CONFIG, overrides), RunRequest(**part))


def test_all_that_the_whole_pipeline_uses():
    assert {TRAINER, PRUNING, SESSION} <= set(preloads())


@pytest.mark.parametrize(
    ("overrides", "part", "absent"),
    [
        (["optimization.variants=[frozen]"], {}, PRUNING),
        (["optimization.enabled=false"], {}, PRUNING),
        (["training.strategy=multi_worker_mirrored"], {}, TRAINER),
        ([], {"from_node": "Evaluator"}, TRAINER),
        ([], {"to_node": "Trainer"}, PRUNING),
        ([], {"to_node": "DataGate"}, SESSION),
    ],
)
def test_nothing_that_it_does_not_use(overrides, part, absent):
    assert absent not in preloads(*overrides, **part)


def test_one_process_at_a_time_has_no_warm_parent(monkeypatch, tmp_path):
    monkeypatch.setattr(warm_children, "use_warm_parent", None)
    config = load_config(DEFAULT_CONFIG, ["resources.concurrency=1"])
    assert warm_children.count_concurrent_nodes(config) == 1
    with warm_children.use_warm_children(config, RunRequest(), tmp_path / "log"):
        pass
    monkeypatch.setattr(warm_children.sys, "platform", "darwin")
    with warm_children.use_warm_children(
        load_config(DEFAULT_CONFIG, ["resources.concurrency=2"]), RunRequest(), tmp_path
    ):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(warm_children, "use_warm_parent", None)
    part = RunRequest(to_node="DataGate")
    with warm_children.use_warm_children(load_config(DEFAULT_CONFIG, ["resources.concurrency=2"]), part, tmp_path):
        pass


def test_no_concurrency_below_one_is_accepted():
    with pytest.raises(Exception, match="concurrency"):
        load_config(DEFAULT_CONFIG, ["resources.concurrency=-1"])
