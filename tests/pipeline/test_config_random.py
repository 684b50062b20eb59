"""Random content of a configuration file: a configuration, or our error in one paragraph."""

from __future__ import annotations

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxiway.components.errors import ConfigError
from taxiway.pipeline import config

GOOD = {
    "name": "mine",
    "data": {"path": "rows.csv"},
    "label": {"column": "y"},
    "features": {"leave_out": {"id": "a number"}},
    "gates": {"drift": {"against": "live"}},
    "evaluation": {"thresholds": {"auc": {"min": 0.5}}, "slices": [["a"]]},
    "training": {"epochs": 2},
}


def keys_below(section):
    """Every key of a section and of those in it."""
    for name, field in section.model_fields.items():
        yield name
        inner = field.annotation
        if hasattr(inner, "model_fields"):
            yield from keys_below(inner)


KEYS = st.sampled_from(sorted(set(keys_below(config.PipelineConfig)))) | st.text(max_size=6)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["auc", "regression", "{SPAN}", "previous_span", "multiclass", "recall[a]", "-1..x"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)
SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def loads_or_says_why(file):
    try:
        loaded = config.load_config(file)
    except ConfigError as error:
        assert error.problem and error.exit_code == 2
        assert "\n\n" not in str(error)
    else:
        assert config.parse_config(loaded.model_dump(mode="json")).model_dump() == loaded.model_dump()


@settings(max_examples=200, deadline=None, suppress_health_check=SUPPRESSED)
@given(path=st.lists(st.sampled_from(sorted(set(keys_below(config.PipelineConfig)))), max_size=3), value=VALUES)
def test_one_value_anywhere(path, value, tmp_path):
    content = yaml.safe_load(yaml.safe_dump(GOOD))
    inner = content
    for key in path[:-1]:
        if not isinstance(inner.get(key), dict):
            inner[key] = {}
        inner = inner[key]
    if path:
        inner[path[-1]] = value
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    loads_or_says_why(tmp_path / "mine.yaml")


@settings(max_examples=150, deadline=None, suppress_health_check=SUPPRESSED)
@given(content=st.binary(max_size=120) | st.text(alphabet="a:-[]{}&*!%\n '\"|>#,0\t", max_size=80).map(str.encode))
def test_random_bytes(content, tmp_path):
    (tmp_path / "mine.yaml").write_bytes(content)
    loads_or_says_why(tmp_path / "mine.yaml")


@settings(max_examples=150, deadline=None, suppress_health_check=SUPPRESSED)
@given(
    override=st.text(max_size=30) | st.tuples(KEYS, KEYS, st.text(max_size=12)).map(lambda t: f"{t[0]}.{t[1]}={t[2]}")
)
def test_random_overrides(override, tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(GOOD))
    try:
        config.load_config(tmp_path / "mine.yaml", [override])
    except ConfigError as error:
        assert error.problem
