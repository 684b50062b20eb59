"""Which nodes there are, known before TFX is imported."""

import subprocess
import sys

import pytest

from components.errors import UsageError
from pipeline import config, nodes
from pipeline.layout import Root


def test_they_are_those_of_the_pipeline(tmp_path):
    from pipeline.dag import create_pipeline

    pipeline = create_pipeline(config.load(None, ()), Root.at(tmp_path))
    assert {node.id for node in pipeline.components} == set(nodes.NODES)
    place = {node: number for number, node in enumerate(nodes.NODES)}
    for node in pipeline.components:
        assert all(place[above.id] < place[node.id] for above in node.upstream_nodes), node.id


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (("Trane", None), "(?s)--from 'Trane'.*Trainer"),
        ((None, "pusher"), "(?s)--to 'pusher'.*Pusher"),
        (("Pusher", "Trainer"), "--from Pusher comes after --to Trainer"),
    ],
)
def test_others_are_refused(part, words):
    with pytest.raises(UsageError, match=words):
        nodes.check_part(*part)
    nodes.check_part("Trainer", "Pusher")


def test_a_wrong_name_costs_no_import_and_leaves_nothing(tmp_path):
    code = (
        "import sys; from pipeline import cli\n"
        f"code = cli.run(['run', '--from', 'Trane', '--root', {str(tmp_path / 'root')!r}])\n"
        "sys.exit(code if not {'tfx', 'tensorflow'} & set(sys.modules) else 99)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Did you mean" in done.stderr and "Trainer" in done.stderr, done.stderr
    assert not (tmp_path / "root").exists()
