"""Titles of artifact types, however the schema around them is written."""

import pytest
from tfx.types import standard_artifacts

from taxiway.components import artifacts
from taxiway.pipeline.kubeflow.artifact_types import read_title


@pytest.mark.parametrize(
    ("artifact_type", "title"),
    [
        ({"schemaTitle": "system.Artifact"}, "system.Artifact"),
        ({"instanceSchema": "title: tfx.Examples\ntype: object\n"}, "tfx.Examples"),
        ({"instanceSchema": "type: object\nproperties:\n  title: no\ntitle: 'taxiway.Verdict'\n"}, "taxiway.Verdict"),
        ({"instanceSchema": "type: object\n"}, ""),
        ({"instanceSchema": "[1"}, ""),
        ({"instanceSchema": ""}, ""),
        ({}, ""),
    ],
)
def test_titles(artifact_type, title):
    assert read_title(artifact_type) == title


def test_titles_of_schemas_as_tfx_writes_them():
    from tfx.orchestration.kubeflow.v2 import compiler_utils

    for kind, title in ((standard_artifacts.Examples, "tfx.Examples"), (artifacts.Verdict, "taxiway.Verdict")):
        assert read_title({"instanceSchema": compiler_utils.get_artifact_schema(kind)}) == title
