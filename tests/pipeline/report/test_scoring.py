"""The children that score evaluation rows open models as the server does."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from taxiway.components.contract import PROBABILITIES
from taxiway.components.tables.examples.row_sample import sample_folder
from taxiway.pipeline.bench.children.model_quality import measure_auc
from taxiway.pipeline.report import scoring
from tests.components.serving import models


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(models.write_model(tmp_path_factory.mktemp("scoring") / "taxi"))


@pytest.mark.parametrize("rows", [1, scoring.BATCH + 3])
def test_scores_of_all_rows_in_their_order(model, tmp_path, rows):
    made = models.rows(rows)
    models.write_examples(tmp_path / "examples" / "data.gz", made)
    sample = sample_folder(str(tmp_path / "examples"), "tip", 2 * rows, 0)
    scores = scoring.predict_scores(model, scoring.split_batches(sample.rows), "binary")
    np.testing.assert_allclose(scores, [[models.probability(row)] for row in made], rtol=1e-5)


def test_auc_of_a_model(model, tmp_path):
    made = models.rows(1500)
    models.write_examples(tmp_path / "data.gz", made)
    found = measure_auc({"model": model, "output": PROBABILITIES, "examples": str(tmp_path), "label": "tip"})
    labels = [row["tip"] for row in made]
    auc = roc_auc_score(labels, np.float32([models.probability(row) for row in made]))
    assert found == {"auc": pytest.approx(auc, abs=1e-5), "rows": 1500, "positives": sum(labels)}
