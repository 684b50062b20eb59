"""Names of look-up tables in an exported SavedModel: by what they hold, not by where Transform once wrote it.

TensorFlow names a table after the path of its file when it was first saved, and after counters of the process that
loaded it. Two exports of the same weights then differ by a folder's name, and a served model reveals the paths of the
machine that made it. Tables of several models share one name space in a process, so a name holds a digest of the
table's content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2

from taxiway.components.files.digests import hash_file
from taxiway.components.training.tensorflow_private import write_fingerprint

MODEL_FILE, ASSETS = "saved_model.pb", "assets"
_COLUMNS = re.compile(r"_(-?\d+)_(-?\d+)(?:_load_\d+_\d+)?\Z")
"""The key's and the value's column in the file, which the name ends in, and the loader's counters."""


def rename_by_content(export_dir: str | Path) -> int:
    """Renames the tables of a SavedModel that read its assets, in place.

    Returns:
        How many names were changed.
    """
    folder = Path(export_dir)
    assets = {file.name: file for file in folder.joinpath(ASSETS).glob("*") if file.is_file()}
    model = saved_model_pb2.SavedModel.FromString((folder / MODEL_FILE).read_bytes())
    olds = {node.attr["shared_name"].s for node in _list_tables(model)}
    names = {old: _name_table(old.decode(errors="replace"), assets).encode() or old for old in olds}
    if len(set(names.values())) < len(names):  # two files of one name: the name does not tell which asset is which
        return 0
    for node in _list_tables(model):
        node.attr["shared_name"].s = names[node.attr["shared_name"].s]
    changed = sum(old != new for old, new in names.items())
    if changed:
        (folder / MODEL_FILE).write_bytes(model.SerializeToString(deterministic=True))
        write_fingerprint(str(folder))
    return changed


def _list_tables(model: Any) -> Iterator[Any]:
    for graph in (meta.graph_def for meta in model.meta_graphs):
        for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
            yield from (node for node in nodes if "HashTable" in node.op and node.attr["shared_name"].s)


def _name_table(old: str, assets: Mapping[str, Path]) -> str:
    """The new name; empty where the old one names no asset of this model."""
    columns = _COLUMNS.search(old)
    longest_first = sorted(assets, key=len, reverse=True)
    file = next((assets[name] for name in longest_first if f"/{name}" in old), None)
    if columns is None or file is None:
        return ""
    digest = hash_file(file)[:32]
    return f"hash_table_{file.name}_{digest}_{columns[1]}_{columns[2]}"
