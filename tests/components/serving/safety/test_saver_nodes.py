"""The saver's rules on graphs made at random around forbidden ops. Protos only: nothing is run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.protobuf import meta_graph_pb2

from taxiway.components.serving.safety import saver_nodes

BOUNDED = settings(max_examples=150, deadline=None, derandomize=True)


def node(place, name, op, *inputs, text="", calls=""):
    made = place.add(name=name, op=op, input=list(inputs))
    if text:
        made.attr["value"].tensor.string_val.append(text.encode())
    if calls:
        made.attr["f"].func.name = calls
    return made


def function(graph, name, *arguments):
    made = graph.graph_def.library.function.add()
    made.signature.name = name
    for argument in arguments:
        made.signature.input_arg.add(name=argument)
    return made.node_def


def honest(nested: int = 0):
    """A graph whose saver is as TensorFlow writes it, its functions wrapped `nested` times."""
    graph = meta_graph_pb2.MetaGraphDef()
    main = graph.graph_def.node
    node(main, "saver_filename", "Placeholder")
    node(main, "variable", "VarHandleOp")
    node(main, "read", "ReadVariableOp", "variable")
    node(main, "evil", "Const", text="/tmp/evil")
    node(main, "score", "Identity", "read")
    graph.signature_def["serving_default"].outputs["y"].name = "score:0"
    save = function(graph, "save", "prefix", "value")
    node(save, "part", "Const", text="_temp/part")
    node(save, "join", "StringJoin", "prefix", "part:output:0")
    node(save, "shard", "ShardedFilename", "join:output:0")
    node(save, "save", "SaveV2", "shard:filename:0", "value")
    node(save, "pack", "Pack", "shard:filename:0")
    node(save, "merge", "MergeV2Checkpoints", "pack:output:0", "prefix")
    restore = function(graph, "restore", "prefix", "handle")
    node(restore, "read", "RestoreV2", "prefix")
    node(restore, "assign", "AssignVariableOp", "handle", "read:tensors:0")
    for depth in range(nested):
        for name in ("save", "restore"):
            inner = name if depth == 0 else f"{name}_{depth - 1}"
            body = function(graph, f"{name}_{depth}", "prefix", "other")
            node(body, "same", "Identity", "prefix")
            node(body, "call", "StatefulPartitionedCall", "same:output:0", "other", calls=inner)
    last = f"_{nested - 1}" if nested else ""
    node(main, "call_save", "StatefulPartitionedCall", "saver_filename", "read", calls=f"save{last}")
    node(main, "call_restore", "StatefulPartitionedCall", "saver_filename", "variable", calls=f"restore{last}")
    graph.saver_def.filename_tensor_name = "saver_filename:0"
    graph.saver_def.save_tensor_name = "call_save:0"
    graph.saver_def.restore_op_name = "call_restore"
    return graph


def find(graph, name):
    return next(each for each in graph.graph_def.node if each.name == name)


def body(graph, name):
    return next(f.node_def for f in graph.graph_def.library.function if f.signature.name == name)


@pytest.mark.parametrize("nested", [0, 1, 3])
def test_an_honest_saver_passes(nested):
    assert saver_nodes.check_saver(honest(nested)) == []


@st.composite
def chains(draw, graph, end):
    """Puts up to four plain nodes between something and what needs it; returns the input's text."""
    for index in range(draw(st.integers(0, 4))):
        name = f"{end}_{index}_link"
        node(
            graph.graph_def.node,
            name,
            draw(st.sampled_from(["Identity", "NoOp", "IdentityN"])),
            draw(st.sampled_from([end, f"^{end}"])),
        )
        end = name
    return draw(st.sampled_from([end, f"^{end}"]))


HOLDERS = ["graph", "function", "nested"]


def add_forbidden(graph, draw, op, path):
    """Adds `op` on a path of the attacker's to the graph, or in functions that a node calls; returns its name."""
    where = draw(st.sampled_from(HOLDERS))
    main = graph.graph_def.node
    if where == "graph":
        node(main, "bad", op, path, path)
        return "bad"
    inside = function(graph, "bad_function", "p")
    node(inside, "deep", op, "p", "p")
    name = "bad_function"
    for depth in range(draw(st.integers(1, 3)) if where == "nested" else 0):
        wrapped = function(graph, f"wrap_{depth}", "p")
        node(wrapped, "call", "PartitionedCall", "p", calls=name)
        name = f"wrap_{depth}"
    node(main, "bad", draw(st.sampled_from(["StatefulPartitionedCall", "PartitionedCall"])), path, calls=name)
    return "bad"


@BOUNDED
@given(st.data())
def test_no_path_but_the_savers_is_read_or_written_by_loading(data):
    """What the restore op needs, by value or by control, holds an op on a constant path."""
    graph = honest(data.draw(st.integers(0, 2)))
    op = data.draw(st.sampled_from(sorted(saver_nodes.OPS)))
    bad = add_forbidden(graph, data.draw, op, "evil")
    find(graph, "call_restore").input.append(data.draw(chains(graph, bad)))
    assert saver_nodes.check_saver(graph)


@BOUNDED
@given(st.data())
def test_loading_saves_nothing_not_even_to_the_savers_path(data):
    graph = honest(data.draw(st.integers(0, 2)))
    op = data.draw(st.sampled_from(sorted(saver_nodes.SAVING)))
    bad = add_forbidden(graph, data.draw, op, "saver_filename")
    find(graph, "call_restore").input.append(data.draw(chains(graph, bad)))
    assert saver_nodes.check_saver(graph)


@BOUNDED
@given(st.data())
def test_no_signature_and_no_initializer_needs_the_saver(data):
    graph = honest(data.draw(st.integers(0, 2)))
    saving = data.draw(st.sampled_from(["call_save", "call_restore", "both"]))
    if saving == "both":
        saving = add_forbidden(graph, data.draw, data.draw(st.sampled_from(sorted(saver_nodes.OPS))), "saver_filename")
        find(graph, "call_save").input.append(f"^{saving}")
    needed = data.draw(chains(graph, saving))
    node(graph.graph_def.node, "last", "NoOp", needed)
    place = data.draw(st.sampled_from(["output", "init", "main_op", "legacy", "score"]))
    if place == "output":
        graph.signature_def["other"].outputs["z"].name = "last:0"
    elif place == "init":
        graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "last"
    elif place == "score":
        find(graph, "score").input.append("^last")
    else:
        key = "saved_model_main_op" if place == "main_op" else "legacy_init_op"
        graph.collection_def[key].node_list.value.append("last")
    assert saver_nodes.check_saver(graph)


@BOUNDED
@given(st.data())
def test_a_saver_that_leaves_its_path_is_refused(data):
    """One place on the way from the filename to the op is changed."""
    graph = honest(data.draw(st.integers(0, 2)))
    change = data.draw(
        st.sampled_from(["dots", "constant", "call", "filename", "joined restore", "branch", "merge", "twice"])
    )
    if change == "dots":
        body(graph, "save")[0].attr["value"].tensor.string_val[0] = b"/../../etc"
    elif change == "constant":
        where, name = data.draw(st.sampled_from([("save", "shard"), ("save", "join"), ("restore", "read")]))
        node(body(graph, where), "fixed", "Const", text="/tmp/evil")
        next(n for n in body(graph, where) if n.name == name).input[0] = "fixed:output:0"
    elif change == "call":
        find(graph, data.draw(st.sampled_from(["call_save", "call_restore"]))).input[0] = "evil"
    elif change == "filename":
        graph.saver_def.filename_tensor_name = "score:0"
    elif change == "joined restore":
        inside = body(graph, "restore")
        node(inside, "more", "Const", text="x")
        node(inside, "joined", "StringJoin", "prefix", "more:output:0")
        next(n for n in inside if n.name == "read").input[0] = "joined:output:0"
    elif change == "branch":
        find(graph, "call_restore").op = data.draw(st.sampled_from(["If", "While", "Case"]))
    elif change == "merge":
        node(body(graph, "save"), "fixed", "Const", text="/tmp/evil")
        next(n for n in body(graph, "save") if n.name == "merge").input[1] = "fixed:output:0"
    else:
        node(graph.graph_def.node, "saver_filename", "Const", text="/tmp/evil")
    assert saver_nodes.check_saver(graph)


@BOUNDED
@given(st.data())
def test_saving_ops_elsewhere_are_refused(data):
    graph = honest(data.draw(st.integers(0, 2)))
    add_forbidden(
        graph,
        data.draw,
        data.draw(st.sampled_from(sorted(saver_nodes.OPS))),
        data.draw(st.sampled_from(["evil", "saver_filename"])),
    )
    assert saver_nodes.check_saver(graph)
