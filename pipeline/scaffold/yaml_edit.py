"""Sets keys in a YAML file and leaves everything else of its text as it is: comments, order, spaces.

PyYAML tells where each value begins and ends; what it has parsed is never written back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from taxiway.components.errors import UsageError


def set_value(text: str, keys: Sequence[str], value: Any) -> str:
    """The text with one value set, in the mapping that `keys` lead to; mappings that are missing are made.

    Args:
        text: A YAML mapping, or nothing.
        keys: Path of the key.
        value: JSON value.

    Raises:
        UsageError: Something on the way is no mapping, or refers to an anchor.
    """
    top = yaml.compose(text, Loader=yaml.SafeLoader)
    if top is None or _is_empty(top):
        return text.rstrip("\n") + ("\n\n" if text.strip() else "") + _nest(keys, value, 0)
    return _set_below(text, top, keys, 0, value)


def _set_below(text: str, node: yaml.Node, keys: Sequence[str], depth: int, value: Any) -> str:
    """Sets `keys[depth:]` in a mapping."""
    if _is_empty(node):
        return _put(text, node.start_mark.index, node.end_mark.index, _format_flow(_wrap(keys[depth:], value)))
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{'.'.join(keys[:depth])} is no mapping.", "Correct the file, or remove that key.")
    found = next((pair for pair in node.value if pair[0].value == keys[depth]), None)
    if found is None:
        return _add_pair(text, node, keys[depth:], value)
    key_node, below = found
    if below.start_mark.index < key_node.end_mark.index:  # what it refers to stands elsewhere, for others too
        name = ".".join(keys[: depth + 1])
        raise UsageError(f"{name} refers to an anchor.", f"Write its value out, or set {'.'.join(keys)} yourself.")
    if depth + 1 < len(keys):
        return _set_below(text, below, keys, depth + 1, value)
    return _replace_node(text, key_node, below, _format_flow(value))


def _format_flow(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _nest(keys: Sequence[str], value: Any, indent: int) -> str:
    """The keys, one a line, each deeper than the one before; the value in the last line."""
    lines = [f"{' ' * (indent + 2 * depth)}{key}:" for depth, key in enumerate(keys)]
    return "\n".join(lines) + f" {_format_flow(value)}\n"


def _is_empty(node: yaml.Node) -> bool:
    """`key:` and `key: {}`."""
    return node.value in ("", "null", "~", [])


def _add_pair(text: str, node: yaml.MappingNode, keys: Sequence[str], value: Any) -> str:
    """Adds to a mapping that has other keys: before its first one, where its indentation is known."""
    first = node.value[0][0].start_mark
    if node.flow_style:
        return text[: first.index] + f"{keys[0]}: {_format_flow(_wrap(keys[1:], value))}, " + text[first.index :]
    if not first.column:  # at the top of the file a section goes to the end
        return text.rstrip("\n") + "\n\n" + _nest(keys, value, 0)
    start = first.index - first.column
    return text[:start] + _nest(keys, value, first.column) + text[start:]


def _wrap(keys: Sequence[str], value: Any) -> Any:
    """The value inside of one mapping for each key."""
    for key in reversed(keys):
        value = {key: value}
    return value


def _replace_node(text: str, key: yaml.Node, node: yaml.Node, new: str) -> str:
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        return text[: key.end_mark.index] + f": {new}" + text[_find_end(node) :]
    return _put(text, node.start_mark.index, node.end_mark.index, new)


def _find_end(node: yaml.Node) -> int:
    """Where the last value ends; a block's own end is at the next key, after comments that follow it."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _find_end(last[1] if isinstance(node, yaml.MappingNode) else last)


def _put(text: str, start: int, end: int, new: str) -> str:
    """`key:` has its empty value right after the colon."""
    space = " " if text[start - 1 : start] == ":" else ""
    return text[:start] + space + new + text[end:]
