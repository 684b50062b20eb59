"""A key is set in a YAML text, and everything else of the text stays."""

from __future__ import annotations

import pytest
import yaml

from taxiway.components.errors import UsageError
from taxiway.pipeline.scaffold.yaml_edit import set_value

VOLUMES = [{"claim": "c", "mount_path": "/taxiway"}]
TEXTS = {
    "nothing": "",
    "no section": "name: taxi\n# end\n",
    "the section has other keys": "name: taxi\nresources:\n  beam_args: []\n\n# c\nserving:\n  x: 1\n",
    "empty values": "resources:\n  # note\n  kubeflow:\n    image: ''   # none yet\n    default: {}\n",
    "flow": "resources: {beam_args: [a], kubeflow: {}}\n",
    "flow with a value": "resources: {kubeflow: {image: x}} # why\n",
    "a section without a value": "resources:\nname: x\n",
    "a key without a value": "resources:\n  kubeflow:\nname: x\n",
    "null": "resources: null\n",
    "deeper indentation": "name: x\nresources:\n    kubeflow:\n        root: /t # here\n",
    "a block to replace": "resources:\n  kubeflow:\n    default:\n      volumes:\n      - claim: a\n"
    "        mount_path: /b\n      # about retries\n      retries: 2\nname: z\n",
    "one line, no newline": "name: x",
    "letters": "name: x\nlabel: größe # 日本\nresources:\n  kubeflow: {root: /ü}\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_is_set_is_read_back_and_the_rest_stays(text):
    edited = set_value(text, ("resources", "kubeflow", "image"), "registry/x:1")
    edited = set_value(edited, ("resources", "kubeflow", "default", "volumes"), VOLUMES)
    found = yaml.safe_load(edited)
    kubeflow = found["resources"]["kubeflow"]
    assert (kubeflow["image"], kubeflow["default"]["volumes"]) == ("registry/x:1", VOLUMES)
    before = yaml.safe_load(text) or {}
    assert {key: value for key, value in found.items() if key != "resources"} == {
        key: value for key, value in before.items() if key != "resources"
    }
    inner = (before.get("resources") or {}).get("kubeflow") or {}
    assert inner.get("root") == kubeflow.get("root")
    for comment in (line.partition("#")[2] for line in text.splitlines() if "#" in line):
        assert f"#{comment}" in edited


def test_setting_it_again_changes_nothing():
    keys = ("resources", "kubeflow", "image")
    once = set_value(TEXTS["no section"], keys, "x")
    assert set_value(once, keys, "x") == once
    assert yaml.safe_load(set_value(once, keys, "y"))["resources"]["kubeflow"]["image"] == "y"


def test_a_value_on_the_way():
    with pytest.raises(UsageError, match=r"resources\.kubeflow is no mapping"):
        set_value("resources:\n  kubeflow: [a]\n", ("resources", "kubeflow", "image"), "x")
