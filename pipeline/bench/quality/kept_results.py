"""Results of `taxiway bench quality` that are kept in a folder, so that an interrupted benchmark goes on."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from taxiway.components.files.durable_files import replace_file
from taxiway.components.optimizer.outputs import read_cpu_name
from taxiway.pipeline.bench.quality.tables import PACKAGES, Table
from taxiway.pipeline.code_fingerprint import fingerprint_code, list_libraries

PEER_PACKAGES = ("lightgbm", "catboost", "scikit-learn", "pandas")
_CHILDREN = "taxiway.pipeline.bench.children."
_OUR_CODE = ("taxiway.pipeline.dag", "taxiway.pipeline.scaffold.init", "taxiway.pipeline.bench.quality.ours")
_PEER_CODE = (f"{_CHILDREN}quality_peers", f"{_CHILDREN}quality_data")


@dataclass(frozen=True)
class KeptResults:
    """What was measured, one file a table, seed and side.

    Attributes:
        folder: Where the files are; None: nothing is kept.
    """

    folder: Path | None

    def measure_once(
        self, name: str, state: Mapping[str, Any], measure: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """The kept result, where it was measured in the same state; else a new one, which is kept.

        Args:
            name: Of the result, a part of a file's name.
            state: What the result depends on, as JSON values: settings, code, versions.
            measure: Measures it.
        """
        if self.folder is None:
            return measure()
        file = self.folder / f"{name}.json"
        kept = _read_kept(file)
        if kept and kept["state"] == state:
            return dict(kept["result"])
        if kept:
            changed = ", ".join(key for key in state if kept["state"].get(key) != state[key])
            print(f"{file} was measured with other {changed}: measured again.", file=sys.stderr, flush=True)
        result = measure()
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(file, json.dumps({"version": 1, "state": state, "result": result}, indent=1).encode())
        return result


def _read_kept(file: Path) -> dict[str, Any] | None:
    """None where there is no file, or none of ours: then it is measured, and the file replaced."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) and {"state", "result"} <= kept.keys() else None


def describe_our_state(table: Table, settings: Sequence[str]) -> dict[str, Any]:
    """What our results depend on."""
    code = {"settings": list(settings), "code": fingerprint_code(_OUR_CODE), "packages": list_libraries()}
    return code | _describe_rows(table)


def describe_peers_state(table: Table) -> dict[str, Any]:
    """What the peers' results depend on."""
    versions = {name: metadata.version(name) for name in PEER_PACKAGES}
    return {"code": fingerprint_code(_PEER_CODE), "packages": versions | _find_xgboost(), **_describe_rows(table)}


def _describe_rows(table: Table) -> dict[str, Any]:
    """The rows and their split, and the machine, which the seconds are of; as JSON gives it back."""
    rows = {"table": dataclasses.asdict(table) | {"version": PACKAGES[table.package]}}
    return dict(json.loads(json.dumps(rows | {"machine": read_cpu_name()})))


def _find_xgboost() -> dict[str, str]:
    """Its version under the module's name: the package has another one where it is built without GPUs."""
    import xgboost

    return {"xgboost": xgboost.__version__}
