"""A root is a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxiway.components.errors import UsageError
from taxiway.pipeline.root import Root


@pytest.mark.parametrize("path", ["s3://bucket/root", Path("gs://bucket/root"), "minio:/b"])
def test_a_url_is_refused(path):
    with pytest.raises(UsageError, match="is no folder of a file system"):
        Root.at(path)


@pytest.mark.parametrize("path", ["s3", "a/s3:/b", "./gs:/x", "s3x:/y"])
def test_folders_with_odd_names_are_taken(path):
    assert Root.at(path).path == Path(path).resolve()
