"""The pages of the components say what the components are, and their examples build and compile."""

import pytest

from deploy.component_pages import COMPONENTS, FOLDER, name_page, replace_facts
from tests.docs.pages import list_blocks


@pytest.fixture(scope="module")
def stock_nodes():
    return "\n".join(list_blocks(FOLDER / "index.md", "python"))


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_page_says_what_the_component_says(name):
    page = name_page(name).read_text()
    made = replace_facts(page, name)
    if name == "Trainer":  # an input that TFX's has from 1.17 on, which nothing of ours fills: the stack tf216 has none
        made = made.replace("| `statistics` | `ExampleStatistics` | may be left out |\n", "")
    assert page == made, "run `python -m deploy.component_pages`"
    assert f"[{name}]({name_page(name).name})" in (FOLDER / "index.md").read_text()


def test_every_component_has_a_page():
    import taxiway
    from tests.public import test_exports

    assert set(COMPONENTS) == set(test_exports.COMPONENTS)
    assert {name for name in taxiway.__all__ if hasattr(getattr(taxiway, name), "SPEC_CLASS")} == set(COMPONENTS)


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_example_compiles_for_a_local_runner_and_for_kubeflow(name, stock_nodes, tmp_path, monkeypatch):
    from tfx import v1 as tfx
    from tfx.dsl.compiler.compiler import Compiler
    from tfx.dsl.components.base.base_node import BaseNode
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as kubeflow

    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(stock_nodes, names)
    before = set(names)
    (example,) = list_blocks(name_page(name), "python")
    exec(example, names)
    made = [value for key, value in names.items() if key not in before and isinstance(value, BaseNode)]
    assert any(type(node).__name__ == name for node in made)
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="penguin",
        pipeline_root="gs://somewhere",
        components=_add_upstream(made),
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config("metadata.db"),
    )
    assert len(Compiler().compile(pipeline).nodes) == len(pipeline.components)
    config = kubeflow.KubeflowV2DagRunnerConfig(default_image="image", use_pipeline_spec_2_1=True)
    written = kubeflow.KubeflowV2DagRunner(config, output_filename="pipeline.yaml").run(pipeline, write_out=False)
    assert len(written["pipelineSpec"]["root"]["dag"]["tasks"]) >= len(pipeline.components)


def _add_upstream(nodes):
    """The nodes, and those before them."""
    found = list(nodes)
    for node in found:
        found += [each for each in sorted(node.upstream_nodes, key=lambda each: each.id) if each not in found]
    return found
