import re
from pathlib import Path

import pytest

from taxiway.pipeline.lineage import LineageGraph, Node


def test_the_examples_of_the_page_run():
    text = Path(__file__).parents[3].joinpath("docs", "lineage.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", text, re.S)
    assert examples
    for example in examples:
        exec(compile(example, "docs/lineage.md", "exec"), {})


def test_a_graph_at_the_end_of_a_notebook_cell_shows_itself():
    """Through IPython's own display machinery, as Jupyter does it."""
    formatters = pytest.importorskip("IPython.core.formatters")
    graph = LineageGraph([Node("artifact:1", "artifact", "Model")], [])
    shown, _ = formatters.DisplayFormatter().format(graph)
    assert shown["text/html"].startswith("<iframe srcdoc=") and "data-lineage" in shown["text/html"]
    assert shown["text/plain"] == "LineageGraph(1 nodes, 0 edges, focus=[])"
