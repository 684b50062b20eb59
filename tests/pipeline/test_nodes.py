"""Which nodes there are, known before TFX is imported."""

import subprocess
import sys

import pytest

from taxiway.components.errors import UsageError
from taxiway.pipeline import config, nodes
from taxiway.pipeline.root import Root


@pytest.mark.parametrize(
    ("overrides", "lacking"),
    [((), {"Tuner"}), (("tuning.enabled=true",), set()), (("explanation.enabled=false",), {*nodes.OPTIONAL_NODES})],
)
def test_they_are_those_of_the_pipeline(tmp_path, overrides, lacking):
    from taxiway.pipeline.dag import create_pipeline

    pipeline = create_pipeline(config.load_config(None, overrides), Root.at(tmp_path))
    assert {node.id for node in pipeline.components} == set(nodes.NODES) - lacking
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
        nodes.check_node_range(*part)
    nodes.check_node_range("Trainer", "Pusher")


@pytest.mark.parametrize(
    ("node", "key"), [("Tuner", "tuning"), ("ModelExplainer", "explanation")], ids=lambda word: word
)
def test_a_node_that_the_configuration_does_not_ask_for_is_refused(node, key):
    for part in ((node, None), (None, node)):
        nodes.check_node_range(*part)
        with pytest.raises(UsageError, match=rf"(?s)no such node.*{key}\.enabled: true"):
            nodes.check_node_range(*part, nodes.OPTIONAL_NODES)


def test_a_wrong_name_costs_no_import_and_leaves_nothing(tmp_path):
    code = (
        "import sys; from taxiway.pipeline import cli\n"
        f"code = cli.run(['run', '--from', 'Trane', '--root', {str(tmp_path / 'root')!r}])\n"
        "sys.exit(code if not {'tfx', 'tensorflow'} & set(sys.modules) else 99)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Did you mean" in done.stderr and "Trainer" in done.stderr, done.stderr
    assert not (tmp_path / "root").exists()
