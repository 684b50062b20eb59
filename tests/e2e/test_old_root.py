"""The next run on a root from before `taxiway` was the one import name, and its models asked by this code.

What reads such a root without TensorFlow is in `tests/pipeline/test_old_root.py`.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.e2e.conftest import run, taxiway
from tests.fixtures.make_old_root import ANSWERS, ASKED_ROWS
from tests.fixtures.old_root import unpack_old_root

pytestmark = pytest.mark.e2e

NEW_RUN = ("--set", "training.warm_start=live", "--set", "gates.skew.against=live")


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """As it was unpacked: nothing is run on it."""
    return unpack_old_root(tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def before(old):
    """Its versions, the newest first."""
    return json.loads(taxiway("versions", "--root", old.root, "--json", cwd=old.folder).stdout)


@pytest.fixture(scope="module")
def pushed(tmp_path_factory):
    """A run on the next span: warm start from the live version, drift against kept statistics, skew against live."""
    unpacked = unpack_old_root(tmp_path_factory.mktemp("pushed"))
    unpacked.add_span(3)
    finished = run(unpacked.config, unpacked.root, *NEW_RUN)
    assert finished.code == 0, finished.printed
    return finished


@pytest.fixture(scope="module")
def trained(old):
    """The newest model of the old trainer."""
    return max((old.root / "artifacts" / "Trainer" / "model").iterdir(), key=lambda folder: int(folder.name))


def read_answers(text):
    return [answer["probabilities"] for answer in json.loads(text)["answers"]]


def test_a_new_run_pushes_above_the_old_versions(pushed, before):
    assert pushed.summary["state"] == "live"
    assert pushed.summary["push"]["version"] == pushed.versions[-1] > before[0]["version"]
    assert pushed.versions[:-1] == tuple(sorted(version["version"] for version in before))
    [gate] = [gate for gate in pushed.summary["gates"] if gate["gate"] == "ServingValidator"]
    assert "the output 'classes' is gone" in gate["numbers"]["input_changes"]


def test_it_compares_with_what_the_old_runs_kept(pushed, before):
    [gate] = [gate for gate in pushed.summary["gates"] if gate["gate"] == "DataGate"]
    assert gate["numbers"]["drift"]["against"] == "span 2"
    assert gate["numbers"]["drift"]["distances"]["country"]["distance"] > 0
    assert gate["numbers"]["skew"]["against"].endswith(f"live version {before[0]['version']}")


def test_it_starts_from_the_old_live_model_and_is_judged_against_it(pushed, before):
    told = taxiway("lineage", "--root", pushed.root.path, "--json", cwd=pushed.config.parent)
    steps = {step["node"]: step["facts"] for step in json.loads(told.stdout)["steps"]}
    assert steps["Baseline"]["baseline"] == f"version {before[0]['version']}, live then"
    history = json.loads((pushed.artifact("Trainer", "model") / "training" / "history.json").read_text())
    [warm] = [event for event in history["events"] if event["kind"].startswith("warm_start")]
    assert warm["kind"] == "warm_started" and warm["variables"] > 0
    overall = next(each for each in pushed.summary["metrics"]["Evaluator"] if each["slice"] == "overall")
    assert overall["baseline"]["auc"] not in (0.5, overall["candidate"]["auc"])


def test_runs_of_both_are_compared_and_reported(pushed):
    listed = taxiway("runs", "--root", pushed.root.path, "--json", cwd=pushed.config.parent)
    new, *_, first = (record["run_id"] for record in json.loads(listed.stdout))
    compared = taxiway("compare", first, new, "--root", pushed.root.path, cwd=pushed.config.parent)
    assert compared.returncode == 0 and "warm_start" in compared.stdout
    reported = taxiway("report", first, "--root", pushed.root.path, cwd=pushed.config.parent)
    assert reported.returncode == 0, reported.stderr
    page = (pushed.root.reports / f"{first}.html").read_text()
    assert "frozen" in page and "orders-1.csv" in page


def test_the_old_live_version_answers_as_it_did(old):
    rows = old.config.parent / "data" / "orders-1.csv"
    asked = taxiway("predict", rows, "--rows", ASKED_ROWS, "--root", old.root, "--json", cwd=old.folder)
    assert asked.returncode == 0, asked.stderr
    known = read_answers((old.config.parent / ANSWERS).read_text())
    assert len(known) == ASKED_ROWS
    np.testing.assert_allclose(read_answers(asked.stdout), known, atol=1e-6)


def test_the_embedded_server_serves_the_old_versions(old, before):
    from taxiway.components.serving.requests.clients import RestClient
    from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions

    row = {"country": ["DE"], "age": [40], "basket": [31.5], "bought_at_weekday": [2], "bought_at_hour": [14]}
    with EmbeddedServer("orders", old.root / "serving" / "orders", ServerOptions(rest_port=0, grpc_port=0)) as server:
        rest = RestClient(f"http://127.0.0.1:{server.rest_port}", "orders")
        answer = rest.predict("serving_raw", {name: np.array(values) for name, values in row.items()})
    assert 0 < float(np.ravel(answer["probabilities"])[0]) < 1


def test_tfma_reads_old_evaluations(old):
    """Their configuration names metrics by modules that are gone."""
    import tensorflow_model_analysis as tfma

    for node in ("Evaluator", "OptimizedEvaluator"):
        for folder in (old.root / "artifacts" / node / "evaluation").iterdir():
            assert '"components.evaluation.binary"' in (folder / "eval_config.json").read_text()
            result = tfma.load_eval_result(str(folder), model_name=tfma.CANDIDATE_KEY)
            [overall] = [metrics for key, metrics in result.slicing_metrics if key == ()]
            assert overall[""][""]["auc"]["doubleValue"] > 0.5
            assert tfma.load_validation_result(str(folder)).validation_ok


def test_an_old_trained_model_is_loaded_for_fine_tuning(trained):
    from taxiway.components.training import load_trained

    loaded = load_trained(str(trained))
    assert loaded.job.label == "returned"
    assert np.abs(loaded.keras_model.get_weights()[0]).max() > 0


def test_a_variant_of_an_old_report_is_made_again(old, tmp_path):
    reports = sorted((old.root / "artifacts" / "ModelOptimizer" / "report").iterdir())
    made = taxiway("optimize", "frozen", "--reproduce", reports[0], "-o", tmp_path / "again", cwd=tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr
