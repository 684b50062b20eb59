"""Which raw column becomes which kind of feature: decided by the schema's types and the configuration's overrides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from taxiway.components.errors import ConfigError, DataError, suggest_matches
from taxiway.components.transform.config import FeaturesConfig


@dataclass(frozen=True)
class FeatureColumns:
    """The raw columns by use.

    Attributes:
        numeric: Columns behind the positions of our numeric features, in this order.
        categorical: Columns behind the positions of the feature of categories, in this order.
        calendar: Columns of times behind the calendar's feature, in this order.
        hashed: Columns behind the positions of the feature of hashes, in this order.
        text: Columns behind the feature of hashed words, in this order.
        label: The label's column.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    label: str
    calendar: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    text: tuple[str, ...] = ()

    @property
    def used(self) -> list[str]:
        """All columns that the preprocessing reads, the label among them."""
        kinds = asdict(self)
        return sorted({kinds.pop("label"), *(name for names in kinds.values() for name in names)})

    def to_json(self) -> dict[str, Any]:
        return {"version": 3, **asdict(self)}


def choose_columns(
    dtypes: Mapping[str, str], label: str, features: FeaturesConfig, categorical: frozenset[str]
) -> FeatureColumns:
    """Sorts the columns by use.

    Args:
        dtypes: TensorFlow's dtype name of each raw column: `float32`, `int64` or `string`.
        label: The label's column.
        features: The configuration's overrides.
        categorical: Integer columns that the schema calls categorical.

    Raises:
        ConfigError: an override names a column that is not there, or asks for what its type does not allow.
        DataError: the label's column is not there, or no column is left.
    """
    _check_overrides(dtypes, label, features)
    used = sorted(name for name in dtypes if name != label and name not in features.leave_out)
    own_way = {*features.calendar, *features.hashed, *features.text}
    plain = [name for name in used if name not in own_way]
    by_name = {name for name in plain if _is_categorical(name, dtypes[name], features, categorical)}
    if not used:
        raise DataError(
            "No column is left to learn from: every column is the label or left out.",
            "Take a column out of features.leave_out.",
        )
    return FeatureColumns(
        numeric=tuple(name for name in plain if name not in by_name),
        categorical=tuple(sorted(by_name)),
        label=label,
        calendar=tuple(name for name in used if name in features.calendar),
        hashed=tuple(name for name in used if name in features.hashed),
        text=tuple(name for name in used if name in features.text),
    )


def _is_categorical(name: str, dtype: str, features: FeaturesConfig, categorical: frozenset[str]) -> bool:
    if name in features.numeric:
        return False
    return dtype == "string" or name in features.categorical or name in categorical


def _check_overrides(dtypes: Mapping[str, str], label: str, features: FeaturesConfig) -> None:
    if label not in dtypes:
        raise DataError(
            f"The label column {label!r} is not in the schema.", f"Set label.column. {suggest_matches(label, dtypes)}"
        )
    for key, names in (
        ("leave_out", features.leave_out),
        ("categorical", features.categorical),
        ("numeric", features.numeric),
        ("calendar", features.calendar),
        ("hashed", features.hashed),
        ("text", features.text),
    ):
        for name in names:
            if name not in dtypes:
                raise ConfigError(
                    f"features.{key} names the column {name!r}, which the data does not have.",
                    suggest_matches(name, dtypes),
                )
    for name in features.numeric:
        if dtypes[name] == "string":
            raise ConfigError(
                f"features.numeric names {name!r}, which holds text.",
                "Only integer and floating-point columns can be numeric; mend the column or the schema.",
            )
    for name in features.calendar:
        if dtypes[name] != "int64":
            raise ConfigError(
                f"features.calendar names {name!r}, which is no time.",
                f"Say how its times are written, such as data.types: {{{name}: time}}.",
            )
    for name in features.text:
        if dtypes[name] != "string":
            raise ConfigError(
                f"features.text names {name!r}, which holds numbers.",
                "Take it out, or name it in features.categorical.",
            )
    _check_one_use(label, features)


def _check_one_use(label: str, features: FeaturesConfig) -> None:
    """Raises `ConfigError` for a column that is asked to be two things, or a label that is asked to be a feature."""
    uses: dict[str, str] = {label: "label.column"}
    for key in ("categorical", "numeric", "calendar", "hashed", "text"):
        for name in getattr(features, key):
            other = uses.setdefault(name, f"features.{key}")
            if other != f"features.{key}" and (key, other) != ("numeric", "features.categorical"):
                raise ConfigError(f"{other} and features.{key} both name {name!r}.", "Take it out of one of them.")
