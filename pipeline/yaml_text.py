"""YAML from a user, read within bounds: a few hundred bytes of it can mean a tree without end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from taxiway.components.errors import UsageError
from taxiway.components.files.regular_files import check_regular_file

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_ALIASES = 100
MAX_NUMBER_LENGTH = 100


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with bounds; all that it refuses is a `yaml.YAMLError` with the line."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._inside_anchors = self._aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        is_alias = isinstance(event, yaml.AliasEvent)
        self._check_bounds(event, is_alias)
        anchored = not is_alias and event.anchor is not None
        self._depth, self._inside_anchors = self._depth + 1, self._inside_anchors + anchored
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth, self._inside_anchors = self._depth - 1, self._inside_anchors - anchored

    def _check_bounds(self, event: Any, is_alias: bool) -> None:
        self._aliases += is_alias
        if self._depth >= MAX_DEPTH:
            raise _make_yaml_error(f"it is nested more than {MAX_DEPTH} deep", event)
        if self._aliases > MAX_ALIASES:
            raise _make_yaml_error(f"it has more than {MAX_ALIASES} aliases", event)
        if is_alias and self._inside_anchors:
            # What is named may be repeated, but what is repeated may not repeat: so the whole stays finite and small.
            raise _make_yaml_error(f"the alias *{event.anchor} stands inside of another anchor", event)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        given = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in given:
                    raise _make_yaml_error(f"the key {key.value[:60]!r} is given twice", key)
                given.add((key.tag, key.value))
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: Any) -> int:
        if len(node.value) > MAX_NUMBER_LENGTH:
            raise _make_yaml_error(f"a number has more than {MAX_NUMBER_LENGTH} digits", node)
        return super().construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _make_yaml_error(problem: str, place: Any) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def parse_yaml(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        yaml.YAMLError: It is none, or not within the bounds, or gives a key twice.
    """
    if len(text) > MAX_BYTES:
        raise yaml.YAMLError(f"it is longer than {MAX_BYTES >> 20} MiB")
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except (ValueError, OverflowError, RecursionError) as error:  # a date of month 13, for example
        raise yaml.YAMLError(f"a value cannot be read: {str(error)[:200]}") from error
    finally:
        loader.dispose()


def read_limited_text(file: Path, error: type[UsageError]) -> str:
    """A text file of a user's, of at most `MAX_BYTES`.

    Raises:
        UsageError: of the class `error`: it is no file, or longer.
        OSError, UnicodeDecodeError: It cannot be read.
    """
    check_regular_file(file, error)
    with open(file, "rb") as source:
        content = source.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise error(f"{file} is longer than {MAX_BYTES >> 20} MiB.", "Is it the configuration, and not the data?")
    return content.decode("utf-8")
