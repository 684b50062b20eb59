"""One class opens a SavedModel in a session: for requests with a time limit, and for calls that are measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from taxiway.components.contract import PROBABILITIES, SERVING_DEFAULT, SERVING_RAW
from taxiway.components.errors import ServingError
from taxiway.components.saved_models.session import SavedModelSession
from tests.components.serving import models

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SavedModelSession]:
    with SavedModelSession(models.write_model(tmp_path_factory.mktemp("models") / "taxi"), threads=1) as opened:
        yield opened


def test_no_other_module_opens_one() -> None:
    files = [file for room in ("components", "pipeline") for file in (CHECKOUT / room).rglob("*.py")]
    opens = re.compile(r"\bsaved_model\.load\(|saved_model\.loader|load_v2\(|v1\.Session\(")
    opening = {str(file.relative_to(CHECKOUT)) for file in files if opens.search(file.read_text())}
    # They export it again, and need objects with variables, not a session.
    exports_it_again = {f"components/optimizer/variants/{name}.py" for name in ("int8", "xla")}
    runs_nodes = "components/optimizer/graphs/column_groups.py"  # some of a graph, on rows that try them
    assert opening == {"components/saved_models/session.py", runs_nodes, *exports_it_again}


def test_a_bound_output_is_what_a_request_gets(session: SavedModelSession) -> None:
    rows = [models.example(row).SerializeToString() for row in models.rows(9)]
    examples = np.array(rows, object)
    scores = session.bind_output(SERVING_DEFAULT, PROBABILITIES)(examples)
    asked = session.run(SERVING_DEFAULT, {"examples": examples}, [PROBABILITIES])
    assert np.array_equal(scores, asked[PROBABILITIES]) and scores.shape == (9, 1)


def test_the_arguments_are_the_sorted_inputs(session: SavedModelSession) -> None:
    call = session.bind_output(SERVING_RAW, PROBABILITIES)
    assert call.inputs == ("company", "fare_usd", "seats")
    columns = {"company": np.array([b"Blue"], object), "fare_usd": np.float32([3]), "seats": np.int64([2])}
    asked = session.run(SERVING_RAW, columns)[PROBABILITIES]
    assert np.array_equal(call(*(columns[name] for name in call.inputs)), asked)


def test_what_a_model_does_not_have_is_said_with_what_it_has(session: SavedModelSession) -> None:
    with pytest.raises(ServingError, match=r"no signature 'other'.\nIt has: .*serving_default, serving_raw"):
        session.bind_output("other", PROBABILITIES)
    with pytest.raises(ServingError, match=r"no output 'predictions'.\nIt has: predicted_label, probabilities"):
        session.bind_output(SERVING_DEFAULT, "predictions")


def test_a_call_outlives_the_name_of_its_session(tmp_path: Path) -> None:
    folder = models.write_model(tmp_path / "taxi")
    call = SavedModelSession(folder).bind_output(SERVING_DEFAULT, PROBABILITIES)
    assert call(np.array([models.example(row).SerializeToString() for row in models.rows(2)], object)).shape == (2, 1)


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="TensorFlow cannot load"):
        SavedModelSession(tmp_path)
