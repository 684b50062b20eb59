"""Which raw column becomes which kind of feature: decided by the schema's types and the configuration's overrides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from components.errors import ConfigError, DataError, close_matches
from components.transform.config import FeaturesConfig

COLUMNS_FILE = "columns.json"


@dataclass(frozen=True)
class Columns:
    """The raw columns by use.

    Attributes:
        numeric: Columns behind the positions of our numeric features, in this order.
        categorical: Columns behind the positions of the feature of categories, in this order.
        label: The label's column.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    label: str

    def to_json(self) -> dict[str, Any]:
        return {"version": 2, **asdict(self)}


def choose(dtypes: Mapping[str, str], label: str, features: FeaturesConfig, categorical: frozenset[str]) -> Columns:
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
    _check_names(dtypes, label, features)
    used = sorted(name for name in dtypes if name != label and name not in features.leave_out)
    by_name = {name for name in used if _is_categorical(name, dtypes[name], features, categorical)}
    if not used:
        raise DataError(
            "No column is left to learn from: every column is the label or left out.",
            "Take a column out of features.leave_out.",
        )
    return Columns(
        numeric=tuple(name for name in used if name not in by_name),
        categorical=tuple(sorted(by_name)),
        label=label,
    )


def _is_categorical(name: str, dtype: str, features: FeaturesConfig, categorical: frozenset[str]) -> bool:
    if name in features.numeric:
        return False
    return dtype == "string" or name in features.categorical or name in categorical


def _check_names(dtypes: Mapping[str, str], label: str, features: FeaturesConfig) -> None:
    if label not in dtypes:
        raise DataError(
            f"The label column {label!r} is not in the schema.", f"Set label.column. {close_matches(label, dtypes)}"
        )
    for key, names in (
        ("leave_out", features.leave_out),
        ("categorical", features.categorical),
        ("numeric", features.numeric),
    ):
        for name in names:
            if name not in dtypes:
                raise ConfigError(
                    f"features.{key} names the column {name!r}, which the data does not have.",
                    close_matches(name, dtypes),
                )
    for name in features.numeric:
        if dtypes[name] == "string":
            raise ConfigError(
                f"features.numeric names {name!r}, which holds text.",
                "Only integer and floating-point columns can be numeric; mend the column or the schema.",
            )
