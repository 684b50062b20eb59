"""Names that TFX, Beam and ML Metadata do not promise, and this layer cannot do without. No other module uses one.

Each function says which public name is missing. A new version of a library may take a private one away: then
`PrivateNameError` says which, before anything runs. Nothing heavy is imported before a function is called.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib import metadata
from typing import Any

from google.protobuf.json_format import MessageToDict

from taxiway.components.cache_keys import list_inputs_read_in_part
from taxiway.components.errors import TaxiwayError
from taxiway.components.stack_seam import name_lock


class PrivateNameError(TaxiwayError):
    """The installed version of a library has lost a private name that Taxiway uses."""


def require_name(owner: Any, name: str, package: str) -> Any:
    """A private attribute.

    Args:
        owner: The module, class or object that should have it.
        name: The attribute.
        package: The distribution that the owner comes from.

    Raises:
        PrivateNameError: The installed version has no such attribute.
    """
    member = getattr(owner, name, None)
    if member is None:
        where = getattr(owner, "__name__", type(owner).__name__)
        raise PrivateNameError(
            f"{package} {metadata.version(package)} has no {where}.{name} any more.",
            f"Install the {package} of {name_lock()} (make setup), or adapt {__name__} to this version.",
        )
    return member


def make_beam_dag_runner(node_class: type) -> Any:
    """TFX's `BeamDagRunner`, which launches nodes through `node_class` instead of its own `PipelineNodeAsDoFn`.

    Missing: a public way to be told of each node that `BeamDagRunner` launches, or to replace what launches it.
    """
    from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

    attribute = "_PIPELINE_NODE_DO_FN_CLS"
    require_name(BeamDagRunner, attribute, "tfx")
    return type("BeamRunner", (BeamDagRunner,), {attribute: node_class})()


def register_artifact_class(title: str, class_path: str) -> None:
    """Tells TFX's Kubeflow entry point which class an artifact type's title means.

    Missing: a public registry. `compiler_utils.TITLE_TO_CLASS_PATH` is looked up before a title is imported as a path;
    it has a public name, but is part of no documented interface.
    """
    from tfx.orchestration.kubeflow.v2 import compiler_utils

    require_name(compiler_utils, "TITLE_TO_CLASS_PATH", "tfx")[title] = class_path


def key_caches_by_what_is_read() -> None:
    """Makes TFX's cache key of a node independent of the artifacts that only its conditions (`Cond`) read, and of those
    whose content its driver tells the key (`taxiway.components.cache_keys`).

    A node runs where its conditions hold, and does not read them: the same inputs under another verdict that lets it
    run make the same outputs. The artifacts stay inputs of the execution in ML Metadata. Missing: a public way to say
    which inputs of a node decide what it writes.
    """
    from tfx.orchestration.portable import cache_utils

    get_cache_context = require_name(cache_utils, "get_cache_context", "tfx")
    if hasattr(get_cache_context, "__wrapped__"):
        return
    signature = inspect.signature(get_cache_context)

    @functools.wraps(get_cache_context)
    def get_context_of_inputs(*arguments: Any, **options: Any) -> Any:
        call = signature.bind(*arguments, **options)
        left_out = list_condition_inputs(call.arguments["pipeline_node"])
        left_out |= list_inputs_read_in_part(call.arguments.get("parameters") or {})
        inputs = call.arguments.get("input_artifacts") or {}
        call.arguments["input_artifacts"] = {key: inputs[key] for key in inputs if key not in left_out}
        return get_cache_context(*call.args, **call.kwargs)

    cache_utils.get_cache_context = get_context_of_inputs


def list_condition_inputs(node: Any) -> set[str]:
    """Names of the inputs that a compiled node has for its conditions alone: TFX's begin with an underscore."""
    expressions = [MessageToDict(condition) for condition in node.inputs.conditionals.values()]
    return {key for key in _list_placeholder_keys(expressions) if key.startswith("_")}


def _list_placeholder_keys(content: Any) -> Iterator[str]:
    """The inputs that expressions name, at any depth."""
    if isinstance(content, list):
        for each in content:
            yield from _list_placeholder_keys(each)
    elif isinstance(content, dict):
        placeholder = content.get("placeholder")
        if isinstance(placeholder, dict) and "key" in placeholder:
            yield placeholder["key"]
        yield from _list_placeholder_keys(list(content.values()))


def open_guarded_store(config: Any, guard: Callable[[], AbstractContextManager[None]]) -> Any:
    """Opens an ML Metadata store that runs each of its calls inside a context manager.

    Missing: a hook for errors. All public methods of `MetadataStore` pass through its `_call`.

    Args:
        config: `ConnectionConfig` of ML Metadata.
        guard: Function that makes the context manager.
    """
    with guard():
        return _make_guarded_class()(config, guard)


@functools.cache
def _make_guarded_class() -> Any:
    from ml_metadata.metadata_store import MetadataStore

    require_name(MetadataStore, "_call", "ml-metadata")

    class GuardedStore(MetadataStore):  # type: ignore[misc]
        def __init__(self, config: Any, guard: Callable[[], AbstractContextManager[None]]) -> None:
            self._guard = guard
            super().__init__(config)

        def _call(self, *arguments: Any, **options: Any) -> Any:
            with self._guard():
                return super()._call(*arguments, **options)

    return GuardedStore
