"""Functions that run unlisted: ways of calling that no attribute names, and graphs made to be slow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from taxiway.components.serving.safety import allowed_ops

FUNC = "StatefulPartitionedCall"
Graph = meta_graph_pb2.MetaGraphDef


def add_node(place: Any, name: str, op: str, *inputs: str, calls: str = "") -> Any:
    made = place.add(name=name, op=op, input=inputs)
    if calls:
        made.attr["f"].func.name = calls
    return made


def add_function(graph: Graph, name: str, *arguments: str) -> Any:
    made = graph.graph_def.library.function.add()
    made.signature.name = name
    for argument in arguments:
        made.signature.input_arg.add(name=argument)
    return made


def graph_of(saving: str = "write") -> Graph:
    """A model whose saver calls `saving`, as it may, and whose initializer needs the node `last`."""
    graph = Graph()
    main = graph.graph_def.node
    add_node(main, "filename", "Placeholder")
    add_node(main, "restore", "NoOp")
    add_node(main, "path", "Const")
    add_node(add_function(graph, saving, "p").node_def, "save", "SaveV2", "p")
    add_node(main, "save", FUNC, "filename", calls=saving)
    add_node(main, "last", "NoOp", "^evil")
    graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "last"
    saver = graph.saver_def
    saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name = "filename:0", "save:0", "restore"
    return graph


def problems(graph: Graph, folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "words.txt").write_text("a\n")
    model = saved_model_pb2.SavedModel()
    model.meta_graphs.append(graph)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return allowed_ops.check_saved_model(folder)


def test_the_saver_may_call_its_function(tmp_path: Path) -> None:
    graph = graph_of()
    add_node(graph.graph_def.node, "evil", "NoOp")
    assert problems(graph, tmp_path) == []


@pytest.mark.parametrize("name", ["Gelu", "SearchSorted", "Identity", "SaveV2", "InitializeTableFromTextFileV2"])
def test_a_function_with_the_name_of_an_op(tmp_path: Path, name: str) -> None:
    """TensorFlow takes `op: Gelu` for a call of the function `Gelu` where it knows no such op."""
    graph = graph_of(name)
    add_node(graph.graph_def.node, "evil", name, "path")
    assert f"the function {name} has the name of an op" in problems(graph, tmp_path)[-1] + problems(graph, tmp_path)[0]


def hand_over(graph: Graph) -> None:
    """The function calls what its attribute `g` names; the node says that it is `write`."""
    call = add_node(add_function(graph, "through").node_def, "call", FUNC, "path")
    call.attr["f"].placeholder = "g"
    outer = add_node(graph.graph_def.node, "evil", FUNC, calls="through")
    outer.attr["f"].func.attr["g"].func.name = "write"


def take_default(graph: Graph) -> None:
    """The attribute's default names the function."""
    through = add_function(graph, "through")
    through.signature.attr.add(name="g", type="func").default_value.func.name = "write"
    add_node(through.node_def, "call", FUNC, "path").attr["f"].placeholder = "g"
    add_node(graph.graph_def.node, "evil", FUNC, calls="through")


def stand_in(graph: Graph) -> None:
    """Grappler replaces a function by another one that implements the same, here through a function between."""
    for name in ("innocent", "between"):
        add_function(graph, name, "p").attr["api_implements"].s = b"same"
    between = next(f for f in graph.graph_def.library.function if f.signature.name == "between")
    add_node(between.node_def, "call", FUNC, "p", calls="write")
    add_node(graph.graph_def.node, "save_too", FUNC, "filename", calls="between")
    next(node for node in graph.graph_def.node if node.name == "save").input.append("^save_too")
    add_node(graph.graph_def.node, "evil", FUNC, "path", calls="innocent")


def double(graph: Graph) -> None:
    add_function(graph, "write", "p")
    add_node(graph.graph_def.node, "evil", FUNC, "path", calls="write")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (hand_over, "hands a function to a function"),
        (take_default, "is told by an attribute which function to call"),
        (stand_in, "lets it stand for another one"),
        (double, "two functions have one name"),
    ],
)
def test_calls_that_cannot_be_followed(tmp_path: Path, change: Callable[[Graph], None], words: str) -> None:
    graph = graph_of()
    change(graph)
    assert any(words in problem for problem in problems(graph, tmp_path))


@pytest.mark.parametrize("where", ["request", "restore", "branch of no asset", "initializer"])
def test_a_file_of_an_asset_is_read_by_initializers_only(tmp_path: Path, where: str) -> None:
    """Elsewhere no loader says where the asset lies, and the constant's own path, any path, would be read."""
    graph = graph_of()
    asset = graph.asset_file_def.add(filename="words.txt")
    asset.tensor_info.name = "path:0"
    table = add_function(graph, "fill", "p")
    add_node(table.node_def, "table", "InitializeTableFromTextFileV2", "p", "p")
    add_node(graph.graph_def.node, "evil", FUNC, "path", calls="fill")
    if where == "request":
        graph.signature_def["serving_default"].outputs["y"].name = "evil:0"
    elif where == "restore":
        next(node for node in graph.graph_def.node if node.name == "restore").input.append("^evil")
    elif where != "initializer":
        asset.tensor_info.name = ""
        add_node(graph.graph_def.node, "branch", "If", "path", calls="fill")
    assert bool(problems(graph, tmp_path)) == (where != "initializer")


@pytest.mark.parametrize("shape", ["ways", "depth"])
def test_a_graph_of_many_ways_or_great_depth_takes_no_time(tmp_path: Path, shape: str) -> None:
    """2^60 ways from the filename to the op; and calls deeper than Python's own stack."""
    graph = graph_of()
    count, calls = (60, "ab") if shape == "ways" else (3000, "a")
    for index in range(count):
        inside = add_function(graph, f"f{index}", "p").node_def
        for name in calls:
            add_node(inside, name, FUNC, "p", calls=f"f{index + 1}" if index < count - 1 else "write")
    add_node(graph.graph_def.node, "evil", "NoOp")
    add_node(graph.graph_def.node, "more", FUNC, "filename", calls="f0")
    next(node for node in graph.graph_def.node if node.name == "save").input.append("^more")
    assert problems(graph, tmp_path) == []
