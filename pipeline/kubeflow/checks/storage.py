"""Checks of what pods read and write: object stores, volumes, the image."""

from __future__ import annotations

from collections.abc import Iterator

from taxiway.components.files.object_store_settings import ENDPOINT_VARIABLES, STORES_VARIABLE
from taxiway.components.tables.config import PACKAGE_PREFIX
from taxiway.pipeline.kubeflow.checks.finding import (
    BACKEND,
    TargetFinding,
    is_inside,
    list_resources,
    list_tasks,
    make_note,
    make_refusal,
)
from taxiway.pipeline.kubeflow.compiler import CompiledPipeline
from taxiway.pipeline.kubeflow.storage import ROOTS, get_scheme


def check_pipeline_root(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """The launcher copies artifacts between the pod and an object store."""
    root = compiled.config.resources.kubeflow.pipeline_root
    accepted = ROOTS if compiled.target == "kfp" else ("gs",)
    if root and get_scheme(root) not in accepted:
        kinds = ", ".join(f"{scheme}://" for scheme in accepted)
        source = f"{BACKEND}/v2/objectstore/config.go" if compiled.target == "kfp" else ""
        yield make_refusal("", f"The pipeline root is {root!r}.", f"Accepted: {kinds}.", source)
    elif root and not root.partition("://")[2].partition("/")[0]:
        yield make_refusal(
            "", f"The pipeline root {root!r} names no bucket.", f"Such as {get_scheme(root)}://BUCKET/FOLDER."
        )
    if not root and compiled.target == "vertex":
        yield make_refusal(
            "", "There is no pipeline root.", "Set resources.kubeflow.pipeline_root: gs://BUCKET/FOLDER."
        )


def check_root_folder(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """Serving directory, checkpoints and execution records must outlive the pods."""
    kubeflow = compiled.config.resources.kubeflow
    if compiled.target == "vertex":
        if not is_inside(kubeflow.root, ("/gcs",)):
            yield make_refusal("", f"resources.kubeflow.root {kubeflow.root!r} is lost with each container.",
                           "Vertex mounts buckets under /gcs/BUCKET; there a push is not atomic.")  # fmt: skip
        return
    without = [
        node
        for node, resources in list_resources(compiled)
        if not is_inside(kubeflow.root, tuple(volume.mount_path for volume in resources.volumes))
    ]
    if without:
        everywhere = len(without) == len(list_tasks(compiled))
        problem = f"resources.kubeflow.root {kubeflow.root!r} is on no volume of "
        setting = f"resources.kubeflow.default.volumes: [{{claim: NAME, mount_path: {kubeflow.root}}}]"
        yield make_refusal(
            "", problem + ("any step." if everywhere else f"{', '.join(without)}."), f"Mount a claim there: {setting}."
        )


def check_data_path(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """Pods see volumes, object stores and the image; not the machine that compiles."""
    path = compiled.config.data.path
    if path.startswith(PACKAGE_PREFIX):
        return
    if "://" in path:
        if get_scheme(path) == "minio" and not _find_endpoint_variables(compiled):
            remedy = "Set resources.kubeflow.components.ExampleGen.environment: "
            remedy += f"{{{ENDPOINT_VARIABLES[0]}: http://seaweedfs.kubeflow:9000}}, or another that knows the store."
            yield make_refusal("ExampleGen", f"Nothing tells its pod where the object store of {path} is.", remedy)
        elif get_scheme(path) in ROOTS:
            remedy = "Its account needs the right to read there, by the pod's identity or by secret_variables."
            yield make_note("ExampleGen", f"It reads {path} itself.", remedy)
        else:
            remedy = f"Use {', '.join(f'{name}://' for name in ROOTS)}, or a mounted volume."
            yield make_refusal("ExampleGen", f"The image has no file system for {path!r}.", remedy)
        return
    kubeflow = compiled.config.resources.kubeflow
    mounts = tuple(volume.mount_path for volume in kubeflow.resolve_resources("ExampleGen").volumes)
    if compiled.target == "vertex":
        mounts = (*mounts, "/gcs")
    if not is_inside(path, (kubeflow.config_folder, *mounts)):
        remedy = "Mount them, use gs://, or keep the files beside the configuration, which the image holds."
        yield make_refusal("ExampleGen", f"The data {path!r} is on none of its volumes.", remedy)


def _find_endpoint_variables(compiled: CompiledPipeline) -> set[str]:
    """The variables of the pods that read the data which say where a store is."""
    variables = compiled.config.resources.kubeflow.resolve_resources("ExampleGen").list_variables()
    return {*ENDPOINT_VARIABLES, STORES_VARIABLE} & set(variables)


def check_published_folder(compiled: CompiledPipeline) -> Iterator[TargetFinding]:
    """The copy of the versions on an object store is written by the Pusher's pod."""
    url = compiled.config.serving.publish_to
    if url:
        yield make_note(
            "Pusher", f"It copies each version to {url}.", "The pod's account must be allowed to write there."
        )
