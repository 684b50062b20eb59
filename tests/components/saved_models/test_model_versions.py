"""One look-up of a version, one reader of its provenance: for prediction, gates, warm start and the directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxiway.components.errors import ServingError
from taxiway.components.saved_models import manifest
from taxiway.components.saved_models.model_versions import choose_version


def test_the_live_version_or_the_one_that_is_named(tmp_path: Path) -> None:
    for name in ("7", "010", "server"):
        (tmp_path / name).mkdir()
    assert choose_version(tmp_path) == (10, tmp_path / "010")
    assert choose_version(tmp_path, 7) == (7, tmp_path / "7")
    with pytest.raises(ServingError, match=r"has no version 8\.\nPresent: 7, 10\."):
        choose_version(tmp_path, 8)


def test_a_directory_without_versions(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match=r"has no version\.\nPush one first"):
        choose_version(tmp_path / "nothing")
    with pytest.raises(ServingError, match=r"has no version 3\.\nPresent: none\."):
        choose_version(tmp_path, 3)


def test_provenance_is_what_the_push_wrote_or_nothing(tmp_path: Path) -> None:
    file = tmp_path / manifest.PROVENANCE_FILE
    assert manifest.read_provenance(tmp_path) == {}
    file.parent.mkdir()
    file.write_bytes(manifest.dump_versioned_json({"run_id": "run-1"}))
    assert manifest.read_provenance(tmp_path) == {"version": 1, "run_id": "run-1"}


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is not JSON"), ('{"run_id": 1}', "no format version"), ('{"version": 2}', "format version 2")],
)
def test_provenance_that_no_push_of_this_taxiway_wrote_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / manifest.PROVENANCE_FILE
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(ServingError, match=said):
        manifest.read_provenance(tmp_path)
