"""The compiled file as it is submitted: its specification, its name as a version, and the copy that is uploaded."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

import yaml

from taxiway.components.errors import UsageError
from taxiway.components.files.digests import hash_file
from taxiway.pipeline.kubeflow.page.specification import wrap_tasks

_REMEDY = "Make it with `taxiway compile -o FILE`."


@dataclass(frozen=True)
class CompiledFile:
    """A compiled file, read and parsed once: a schema of many columns makes that the longest part of a submission.

    Attributes:
        path: The file.
        documents: What it holds: the specification, and after it what is for Kubernetes. Not to be changed.
        digest: Name of the version with this content.
    """

    path: Path
    documents: tuple[Any, ...]
    digest: str

    @property
    def specification(self) -> dict[str, Any]:
        """The pipeline."""
        return dict(self.documents[0])

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return str(self.specification["pipelineInfo"]["name"])


def read_compiled(path: Path) -> CompiledFile:
    """Reads a compiled file.

    Raises:
        UsageError: The file cannot be read, or is no compiled pipeline.
    """
    try:
        documents = tuple(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        digest = hash_file(path)[:12]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read: {error}", _REMEDY) from error
    if not documents or not _is_pipeline(documents[0]):
        raise UsageError(f"{path} is no compiled pipeline.", _REMEDY)
    return CompiledFile(path, documents, digest)


def check_root(compiled: CompiledFile, root: str) -> None:
    """Checks that a run's root is on a volume of the compiled file: elsewhere it is lost with each pod.

    Args:
        compiled: The compiled file; one that mounts nothing is not looked at.
        root: The run's parameter `root`.

    Raises:
        UsageError: Some step has no volume there.
    """
    platforms = compiled.documents[1:]
    executors = [_find(document, "platforms", "kubernetes", "deploymentSpec", "executors") for document in platforms]
    mounts = [_list_claim_paths(executor) for found in executors if found for executor in found.values()]
    if any(mounts) and not all(any(PurePosixPath(root).is_relative_to(path) for path in paths) for paths in mounts):
        known = ", ".join(sorted({path for paths in mounts for path in paths}))
        raise UsageError(
            f"--param root={root} is on no volume of the steps, which have {known}: it would be lost with each pod.",
            f"Give a folder there, or compile with a claim: resources.kubeflow.default.volumes, mount_path: {root}.",
        )


def _list_claim_paths(executor: Any) -> list[str]:
    mounts = executor.get("pvcMount") if isinstance(executor, dict) else None
    return [str(mount.get("mountPath", "")) for mount in mounts or ()]


def find_specification(text: str) -> dict[str, Any] | None:
    """The first document of a text, where it is a pipeline."""
    try:
        document = next(iter(yaml.safe_load_all(text)), None)
    except yaml.YAMLError:
        return None
    return document if _is_pipeline(document) else None


def _is_pipeline(document: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a document has what is read of it without a further look: a name, and tasks in its root."""
    return bool(_find(document, "pipelineInfo", "name") and isinstance(_find(document, "root", "dag", "tasks"), dict))


def _find(document: Any, *keys: str) -> Any:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def write_submitted(compiled: CompiledFile, folder: Path, *, cache: bool = True) -> Path:
    """Writes the text that is uploaded, as a file of the same name.

    Args:
        compiled: The compiled file.
        folder: Folder for a copy.
        cache: Whether steps may take earlier outputs.

    Returns:
        The copy, or the file itself where nothing has to be changed.
    """
    submitted = _rewrite_documents(compiled.documents, cache)
    if submitted is None:
        return compiled.path
    written = folder / f"{compiled.path.stem}.yaml"
    written.write_text(submitted, encoding="utf-8")
    return written


def make_submitted(text: str, *, cache: bool = True) -> str:
    """The text that is uploaded, as `write_submitted` writes it.

    Args:
        text: Text of the compiled file; what is none comes back as it is.
        cache: Whether steps may take earlier outputs.
    """
    try:
        documents = tuple(yaml.safe_load_all(text))
    except yaml.YAMLError:
        return text
    if not documents or not _is_pipeline(documents[0]):
        return text
    return _rewrite_documents(documents, cache) or text


def _rewrite_documents(documents: tuple[Any, ...], cache: bool) -> str | None:
    """The last step as the exit handler of all others, and no cache where asked; None where nothing changes.

    The compiled file has all tasks in its root, one beside the other, and there the backend would never call the last
    step. It reads the cache's switch in the specification only; kfp's own client sets it there too, but not in a
    version that it uploads.
    """
    wrapped = wrap_tasks(documents[0])
    if cache and wrapped is documents[0]:
        return None
    if not cache:
        wrapped = copy.deepcopy(wrapped)
        _switch_cache_off(wrapped)
    return yaml.safe_dump_all([wrapped, *documents[1:]], sort_keys=True, width=120, allow_unicode=True)


def _switch_cache_off(spec: Mapping[str, Any]) -> None:
    for dag in _list_dags(spec):
        for task in dag.get("tasks", {}).values():
            task["cachingOptions"] = {}


def _list_dags(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    components = [spec["root"], *(spec.get("components") or {}).values()]
    return [component["dag"] for component in components if "dag" in component]
