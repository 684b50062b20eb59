"""The order in which nodes are launched: topological, with some nodes in a thread beside the main one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent import futures

import psutil

from taxiway.pipeline.runs.interruption import kill_children


class NodeWalk:
    """One walk through the nodes.

    A node that may run beside others is launched in a thread as soon as what it reads from has ended; the main thread
    goes on with the next one that can be launched. The main thread runs all others: it alone hears SIGINT, and gives
    the Trainer the time to write a checkpoint.

    Args:
        upstream: Nodes that each node reads from or is conditional on, in topological order of the keys; those that are
            no keys have ended before.
        beside: Nodes that may run beside others.
    """

    def __init__(self, upstream: Mapping[str, Collection[str]], beside: Collection[str]) -> None:
        self._upstream, self._beside = upstream, frozenset(beside)
        self._waiting = list(upstream)
        self._running: dict[str, futures.Future[None]] = {}

    def launch_all(self, launch: Callable[[str], None]) -> None:
        """Launches each node once.

        After a failure no node begins, and what runs beside is let end, so that a second run can use what it made. An
        interruption ends the children of what runs beside.

        Args:
            launch: Function that runs a node to its end.

        Raises:
            BaseException: The first error of a node, unchanged.
        """
        others = [child.pid for child in psutil.Process().children(recursive=True)]
        with futures.ThreadPoolExecutor(max(len(self._beside), 1), "node") as pool:
            try:
                while self._waiting or self._running:
                    self._take_ended()
                    self._start_beside(pool, launch)
                    self._launch_next(launch)
            except KeyboardInterrupt:
                kill_children(others)
                raise

    def _take_ended(self) -> None:
        """Forgets what has ended beside; raises its error."""
        for node in [node for node, future in self._running.items() if future.done()]:
            self._running.pop(node).result()

    def _start_beside(self, pool: futures.Executor, launch: Callable[[str], None]) -> None:
        for node in [node for node in self._waiting if node in self._beside and self._is_ready(node)]:
            self._waiting.remove(node)
            self._running[node] = pool.submit(launch, node)

    def _launch_next(self, launch: Callable[[str], None]) -> None:
        """Launches the next node that is ready; where none is, waits for one that runs beside."""
        node = next((node for node in self._waiting if self._is_ready(node)), None)
        if node is not None:
            self._waiting.remove(node)
            launch(node)
        elif self._running:
            futures.wait(self._running.values(), return_when=futures.FIRST_COMPLETED)

    def _is_ready(self, node: str) -> bool:
        return not any(before in self._waiting or before in self._running for before in self._upstream[node])
