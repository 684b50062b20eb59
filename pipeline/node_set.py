"""The nodes of one pipeline as they are created: ours, or those that take their places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tfx.dsl.components.base.base_node import BaseNode

from taxiway.components.errors import UsageError, suggest_matches
from taxiway.pipeline.nodes import ROLES

NodeFactory = Callable[[Mapping[str, BaseNode]], BaseNode | Sequence[BaseNode]]
"""Makes a node of those before it, by id: `lambda nodes: Mine(examples=nodes["ExampleGen"].outputs["examples"])`.
It may return several: the last of them takes the place, the others stand before it."""


class NodeSet:
    """The nodes so far, in data order.

    Attributes:
        nodes: Nodes by id.
    """

    def __init__(self, replacements: Mapping[str, NodeFactory]) -> None:
        """Args:
        replacements: Factories by role (`taxiway.pipeline.nodes.ROLES`).

        Raises:
            UsageError: There is no such role, or its value is no function.
        """
        for role, factory in replacements.items():
            if role not in ROLES:
                raise UsageError(f"create_pipeline has no node {role!r}.", suggest_matches(role, ROLES))
            _check_factory(role, factory)
        self._replacements = replacements
        self.nodes: dict[str, BaseNode] = {}

    def add_node(self, role: str, create_ours: Callable[[], Any]) -> Any:
        """Creates the node of a role, under the id that runs, reports and the lineage know it by.

        Args:
            role: Role of the node.
            create_ours: Function that creates it where nothing takes its place.
        """
        factory = self._replacements.get(role)
        if factory is None:
            node = create_ours()
            return self._keep_node(node) if node is not None else None
        *before, last = _list_made(role, factory(dict(self.nodes)))
        for node in before:
            self._keep_node(node)
        return self._keep_node(last.with_id(ROLES[role]))

    def add_extra_nodes(self, factories: Iterable[NodeFactory]) -> None:
        """Creates nodes that take no place of ours."""
        for factory in factories:
            _check_factory("extra_nodes", factory)
            for node in _list_made("extra_nodes", factory(dict(self.nodes))):
                self._keep_node(node)

    def _keep_node(self, node: BaseNode) -> BaseNode:
        if node.id in self.nodes:
            raise UsageError(f"Two nodes have the id {node.id!r}.", "Give one of them another: .with_id('...').")
        self.nodes[node.id] = node
        return node


def _check_factory(role: str, factory: object) -> None:
    if not callable(factory) or isinstance(factory, BaseNode):
        raise UsageError(
            f"{role} is a {type(factory).__name__}, not a function.",
            "Pass a function of the nodes before it that returns the component, since its inputs are their outputs: "
            f"{role}=lambda nodes: ...",
        )


def _list_made(role: str, made: object) -> list[BaseNode]:
    nodes = list(made) if isinstance(made, (list, tuple)) else [made]
    for node in nodes:
        if not isinstance(node, BaseNode):
            raise UsageError(f"The function for {role} returned {node!r}, which is no TFX node.", "Return a component.")
    if not nodes:
        raise UsageError(f"The function for {role} returned no node.", "Return a component.")
    return nodes
