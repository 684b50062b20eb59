"""Trains the peers of `taxiway bench quality` on one split, each at its defaults with early stopping.

`python -m taxiway.pipeline.bench.children.quality_peers` is the child. One thread each, as the figures are CPU seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taxiway.components.contract import Task
from taxiway.components.processes import subprocesses
from taxiway.pipeline.bench.children.quality_scores import compute_error, measure_latency

MOST_TREES, PATIENCE = 2000, 50
MISSING = "__missing__"
MOST_CATEGORIES = 255
"""That HistGradientBoosting takes: it gets the codes of columns with more as numbers."""


@dataclass(frozen=True)
class Split:
    """Rows as the peers take them.

    Attributes:
        task: The task.
        seed: Seed of the models.
        features: Frames by split; text columns are of pandas' category type, with the training rows' categories.
        labels: Class indices or values by split.
        texts: Names of the text columns.
    """

    task: Task
    seed: int
    features: dict[str, Any]
    labels: dict[str, np.ndarray]
    texts: list[str]

    @property
    def classifies(self) -> bool:
        return self.task != "regression"


def train_peers(job: dict[str, Any]) -> dict[str, Any]:
    """Trains and measures every peer.

    Args:
        job: `folder` of the Parquet files, `task`, `label`, `seed`.

    Returns:
        By peer `error`, `train_cpu_seconds` and `latency_ms`, by rows of a batch.
    """
    split = read_split(Path(job["folder"]), job["task"], job["label"], job["seed"])
    return {name: _measure_peer(split, train) for name, train in PEERS.items()}


def read_split(folder: Path, task: Task, label: str, seed: int) -> Split:
    """The split that `quality_data` wrote."""
    import pandas

    features = {name: pandas.read_parquet(folder / f"{name}.parquet") for name in ("train", "validation", "test")}
    raw = {name: frame.pop(label) for name, frame in features.items()}
    if task == "regression":
        labels = {name: column.to_numpy(np.float64) for name, column in raw.items()}
    else:
        classes = {value: i for i, value in enumerate(sorted(set(raw["train"].astype(str))))}
        labels = {name: column.astype(str).map(classes).to_numpy() for name, column in raw.items()}
    texts = [name for name, dtype in features["train"].dtypes.items() if not pandas.api.types.is_numeric_dtype(dtype)]
    for name in texts:
        words = sorted(set(features["train"][name].dropna().astype(str)))
        for frame in features.values():
            text = frame[name].astype(object).where(frame[name].notna(), None)
            frame[name] = pandas.Categorical(text.map(str, na_action="ignore"), categories=words)
    return Split(task, seed, features, labels, texts)


def _measure_peer(split: Split, train: Callable[[Split], Callable[[Any], np.ndarray]]) -> dict[str, Any]:
    import threadpoolctl

    with threadpoolctl.threadpool_limits(1):  # for those that have no setting of their own
        started = time.process_time()
        predict = train(split)
        seconds, test = time.process_time() - started, split.features["test"]
        return {
            "error": compute_error(split.task, split.labels["test"], predict(test)),
            "train_cpu_seconds": seconds,
            "latency_ms": measure_latency(predict, lambda first, rows: test.iloc[first : first + rows]),
        }


def _bind_scores(model: Any, split: Split, prepare: Callable[[Any], Any] = lambda frame: frame) -> Any:
    """The model's own predict: scores of class 1, of all classes, or values."""
    if split.task == "regression":
        return lambda frame: model.predict(prepare(frame))
    if split.task == "binary":
        return lambda frame: model.predict_proba(prepare(frame))[:, 1]
    return lambda frame: model.predict_proba(prepare(frame))


def _train_lightgbm(split: Split) -> Any:
    import lightgbm

    kind = lightgbm.LGBMClassifier if split.classifies else lightgbm.LGBMRegressor
    model = kind(n_estimators=MOST_TREES, random_state=split.seed, n_jobs=1, verbose=-1)
    model.fit(
        split.features["train"], split.labels["train"],
        eval_set=[(split.features["validation"], split.labels["validation"])],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )  # fmt: skip
    return _bind_scores(model, split)


def _train_xgboost(split: Split) -> Any:
    import xgboost

    kind = xgboost.XGBClassifier if split.classifies else xgboost.XGBRegressor
    model = kind(
        n_estimators=MOST_TREES, random_state=split.seed, n_jobs=1, enable_categorical=True,
        early_stopping_rounds=PATIENCE,
    )  # fmt: skip
    held = [(split.features["validation"], split.labels["validation"])]
    model.fit(split.features["train"], split.labels["train"], eval_set=held, verbose=False)
    return _bind_scores(model, split)


def _train_catboost(split: Split) -> Any:
    import catboost

    def prepare(frame: Any) -> Any:  # it takes texts as texts, and no missing ones
        words = {name: frame[name].astype(object).where(frame[name].notna(), MISSING) for name in split.texts}
        return frame.assign(**words)

    kind = catboost.CatBoostClassifier if split.classifies else catboost.CatBoostRegressor
    model = kind(
        random_seed=split.seed, thread_count=1, verbose=False, allow_writing_files=False, cat_features=split.texts,
        early_stopping_rounds=PATIENCE,
    )  # fmt: skip
    held = (prepare(split.features["validation"]), split.labels["validation"])
    model.fit(prepare(split.features["train"]), split.labels["train"], eval_set=held)
    return _bind_scores(model, split, prepare)


def _train_hist_gradient_boosting(split: Split) -> Any:
    """It stops early on a tenth of its training rows, which the locked scikit-learn cuts off itself: `fit` takes no
    others before 1.7. So it learns from fewer rows than the other models, and never sees the validation rows.
    """
    from sklearn import ensemble

    def prepare(frame: Any) -> Any:
        return frame.assign(**{name: frame[name].cat.codes.where(lambda codes: codes >= 0) for name in split.texts})

    train = split.features["train"]
    few = [name for name in split.texts if len(train[name].cat.categories) <= MOST_CATEGORIES]
    places = [train.columns.get_loc(name) for name in few]
    kind = ensemble.HistGradientBoostingClassifier if split.classifies else ensemble.HistGradientBoostingRegressor
    model = kind(
        max_iter=MOST_TREES, early_stopping=True, n_iter_no_change=PATIENCE, random_state=split.seed,
        categorical_features=places or None,
    )  # fmt: skip
    model.fit(prepare(split.features["train"]), split.labels["train"])
    return _bind_scores(model, split, prepare)


def _train_linear(split: Split) -> Any:
    """Standardized numbers and one-hot words; the penalty is chosen on the validation rows."""
    from sklearn import compose, impute, linear_model, pipeline, preprocessing

    numbers = [name for name in split.features["train"] if name not in split.texts]
    columns = compose.ColumnTransformer(
        [
            ("numbers", pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler()), numbers),
            ("words", preprocessing.OneHotEncoder(handle_unknown="ignore", min_frequency=2), split.texts),
        ]
    )

    def prepare(frame: Any) -> Any:
        words = {name: frame[name].astype(object).where(frame[name].notna(), MISSING) for name in split.texts}
        return frame.assign(**words)

    def fit_with(strength: float) -> tuple[float, Any]:
        kind = (
            linear_model.LogisticRegression(C=1 / strength, max_iter=1000)
            if split.classifies
            else linear_model.Ridge(alpha=strength)
        )
        model = pipeline.make_pipeline(columns, kind)
        model.fit(prepare(split.features["train"]), split.labels["train"])
        scores = _bind_scores(model, split, prepare)(split.features["validation"])
        return compute_error(split.task, split.labels["validation"], scores), model

    _, best = min((fit_with(strength) for strength in (0.1, 1.0, 10.0)), key=lambda found: found[0])
    return _bind_scores(best, split, prepare)


PEERS: dict[str, Callable[[Split], Any]] = {
    "lightgbm": _train_lightgbm,
    "xgboost": _train_xgboost,
    "catboost": _train_catboost,
    "hist_gradient_boosting": _train_hist_gradient_boosting,
    "linear": _train_linear,
}


if __name__ == "__main__":
    subprocesses.run_child_main(train_peers)
