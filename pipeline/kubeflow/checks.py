"""What the target would refuse or ignore, one rule a function. `taxiway doctor --target` prints it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from components.configuration import Section
from components.errors import ConfigError, close_matches
from components.tables.config import PACKAGE_PREFIX
from pipeline.kubeflow.compiler import Compiled
from pipeline.kubeflow.platform import SINCE_2_1_0
from pipeline.kubeflow.storage import ROOTS, scheme_of
from pipeline.resources import NodeResources

BACKEND = "kubeflow/pipelines backend/src"
ARTIFACT_TITLE = re.compile(r"[a-z][a-z0-9-_]{2,20}\.[A-Z][a-zA-Z0-9-_]{2,49}")
ARGO_NAME = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
PIPELINE_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,126}[a-z0-9])?")
MAX_ARGO_NAME = 128 - len("-driver")
MAX_SPEC_BYTES = 1 << 20
"""A workflow is one object in etcd, which takes 1.5 MiB, and holds the specification with what Argo adds."""
SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|token|api_?key|private_?key|credential)")
SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|"
    r"\bya29\.[\w-]{20,}|://[^/\s:@']+:[^/\s:@']+@"
)
CONDITION_KEY = re.compile(r"inputs\.artifacts\['([^']+)'\]")

Level = Literal["refused", "ignored", "note"]


class Finding(Section):
    """What the target makes of one node, or of the whole pipeline."""

    node: str = ""
    """Empty: the pipeline."""
    level: Level
    """`refused`: it cannot work; `ignored`: it runs, without what was asked; `note`: what to know."""
    problem: str
    remedy: str = ""
    source: str = ""
    """Where the target's own code says so."""

    def __str__(self) -> str:
        where = f"{self.node}: " if self.node else ""
        cited = f" [{self.source}]" if self.source else ""
        return f"{where}{self.problem} {self.remedy}".rstrip() + cited


Check = Callable[[Compiled], Iterator[Finding]]


def examine(compiled: Compiled) -> list[Finding]:
    """Every finding, the refused first, each kind in the order of the pipeline."""
    found = [finding for check in CHECKS for finding in check(compiled)]
    return sorted(found, key=lambda finding: ("refused", "ignored", "note").index(finding.level))


def require_accepted(compiled: Compiled) -> list[Finding]:
    """The findings that are not fatal.

    Raises:
        ConfigError: The target would refuse the pipeline, with every reason.
    """
    found = examine(compiled)
    refused = [finding for finding in found if finding.level == "refused"]
    if refused:
        raise ConfigError(
            f"{_TARGETS[compiled.target]} would refuse this pipeline:\n"
            + "\n".join(f"  {finding}" for finding in refused),
            "Mend the configuration; `taxiway doctor --target` says it again.",
        )
    return found


_TARGETS = {"kfp": "Kubeflow Pipelines", "vertex": "Vertex AI Pipelines"}


def _refused(node: str, problem: str, remedy: str = "", source: str = "") -> Finding:
    return Finding(node=node, level="refused", problem=problem, remedy=remedy, source=source)


def _note(node: str, problem: str, remedy: str = "") -> Finding:
    return Finding(node=node, level="note", problem=problem, remedy=remedy)


def _tasks(compiled: Compiled) -> dict[str, dict[str, Any]]:
    return dict(sorted(compiled.spec["root"]["dag"]["tasks"].items()))


def _executor(compiled: Compiled, task: dict[str, Any]) -> dict[str, Any]:
    label = compiled.spec["components"][task["componentRef"]["name"]]["executorLabel"]
    return dict(compiled.spec["deploymentSpec"]["executors"][label])


def _executors(compiled: Compiled) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for node, task in _tasks(compiled).items():
        yield node, task, _executor(compiled, task)


def _resources(compiled: Compiled) -> Iterator[tuple[str, NodeResources]]:
    for node in _tasks(compiled):
        yield node, compiled.config.resources.kubeflow.of(node)


def check_schema_version(compiled: Compiled) -> Iterator[Finding]:
    """The open-source backend takes one version of the schema."""
    version = compiled.spec.get("schemaVersion")
    if version != "2.1.0":
        source = f"{BACKEND}/apiserver/template/v2_template.go"
        yield _refused("", f"The schema version is {version!r}.", "Only 2.1.0 is taken.", source)


def check_pipeline_name(compiled: Compiled) -> Iterator[Finding]:
    """Lower case, digits and dashes."""
    name = compiled.spec["pipelineInfo"]["name"]
    if not PIPELINE_NAME.fullmatch(name):
        source = f"{BACKEND}/apiserver/template/v2_template.go"
        yield _refused("", f"The name {name!r} is not of a-z, 0-9 and dashes.", "Change `name`.", source)


def check_task_names(compiled: Compiled) -> Iterator[Finding]:
    """A task's name becomes the name of a task in an Argo workflow."""
    for node in _tasks(compiled):
        if not ARGO_NAME.fullmatch(node) or len(node) > MAX_ARGO_NAME:
            remedy = f"Letters, digits and dashes, at most {MAX_ARGO_NAME}."
            yield _refused(
                node, "Argo takes no task of this name.", remedy, f"{BACKEND}/v2/compiler/argocompiler/dag.go"
            )


def check_resolvers(compiled: Compiled) -> Iterator[Finding]:
    """`LatestBlessedModelStrategy` and its like."""
    for node, _, executor in _executors(compiled):
        if "resolver" in executor and compiled.target == "kfp":
            source = f"{BACKEND}/v2/compiler/visitor.go, v2/compiler/argocompiler/dag.go"
            yield _refused(node, "A resolver has no executor there.", "Read what it resolves in a component.", source)


def check_importer_conditions(compiled: Compiled) -> Iterator[Finding]:
    """An importer's only pod is its driver: nothing could skip it."""
    for node, task, executor in _executors(compiled):
        if "importer" in executor and task.get("triggerPolicy", {}).get("condition") and compiled.target == "kfp":
            source = f"{BACKEND}/v2/compiler/argocompiler/dag.go"
            yield _refused(node, "An importer cannot be conditional.", "Move it out of the condition.", source)


def check_lifecycle(compiled: Compiled) -> Iterator[Finding]:
    """File-based example generators resolve spans and fingerprints in a hook that only Vertex runs."""
    for node, _, executor in _executors(compiled):
        if "lifecycle" in executor.get("container", {}) and compiled.target == "kfp":
            yield Finding(
                node=node,
                level="ignored",
                problem="preCacheCheck never runs: no span is resolved and changed data is served from the cache.",
                remedy="Use a component that reads its files itself, such as TabularExampleGen.",
                source=f"{BACKEND}/v2/driver/container.go",
            )


def check_artifact_types(compiled: Compiled) -> Iterator[Finding]:
    """A type's name is the title of its schema."""
    for node, task in _tasks(compiled).items():
        component = compiled.spec["components"][task["componentRef"]["name"]]
        for side in ("inputDefinitions", "outputDefinitions"):
            for name, artifact in component.get(side, {}).get("artifacts", {}).items():
                title = _title(artifact["artifactType"])
                if not ARTIFACT_TITLE.fullmatch(title):
                    yield _refused(node, f"{name} is of type {title!r}.", "Types are named `namespace.Name`.")


def _title(kind: dict[str, Any]) -> str:
    found = re.search(r"^title:\s*(\S+)", kind.get("instanceSchema", ""), re.MULTILINE)
    return found[1] if found else str(kind.get("schemaTitle", ""))


def check_conditions(compiled: Compiled) -> Iterator[Finding]:
    """A condition sees the node's own inputs and nothing else."""
    for node, task in _tasks(compiled).items():
        for key in CONDITION_KEY.findall(task.get("triggerPolicy", {}).get("condition", "")):
            if key not in task.get("inputs", {}).get("artifacts", {}):
                source = f"{BACKEND}/v2/expression/expression.go"
                yield _refused(node, f"Its condition reads {key!r}, which is no input of it.", source=source)


def check_image(compiled: Compiled) -> Iterator[Finding]:
    """The cache knows code by the image's name only."""
    for image in sorted({e["container"]["image"] for _, _, e in _executors(compiled) if "container" in e}):
        if image == "image-not-set":
            yield _refused("", "No image is named.", "`make image`, push it, and set resources.kubeflow.image.")
        elif not re.search(r"@sha256:[0-9a-f]{64}$|:[^/:]+$", image) or image.endswith(":latest"):
            remedy = "Name a revision's tag or a digest, or old outputs are reused after a change of code."
            yield _note("", f"The image {image!r} may change under its name.", remedy)


def check_pipeline_root(compiled: Compiled) -> Iterator[Finding]:
    """The launcher copies artifacts between the pod and an object store."""
    root = compiled.config.resources.kubeflow.pipeline_root
    accepted = ROOTS if compiled.target == "kfp" else ("gs",)
    if root and scheme_of(root) not in accepted:
        kinds = ", ".join(f"{scheme}://" for scheme in accepted)
        source = f"{BACKEND}/v2/objectstore/config.go" if compiled.target == "kfp" else ""
        yield _refused("", f"The pipeline root is {root!r}.", f"Accepted: {kinds}.", source)
    if not root and compiled.target == "vertex":
        yield _refused("", "There is no pipeline root.", "Set resources.kubeflow.pipeline_root: gs://BUCKET/FOLDER.")


def check_root_folder(compiled: Compiled) -> Iterator[Finding]:
    """Serving directory, checkpoints and execution records must outlive the pods."""
    kubeflow = compiled.config.resources.kubeflow
    if compiled.target == "vertex":
        if not _inside(kubeflow.root, ("/gcs",)):
            yield _refused("", f"resources.kubeflow.root {kubeflow.root!r} is lost with each container.",
                           "Vertex mounts buckets under /gcs/BUCKET; there a push is not atomic.")  # fmt: skip
        return
    for node, resources in _resources(compiled):
        if not _inside(kubeflow.root, tuple(volume.mount_path for volume in resources.volumes)):
            setting = f"resources.kubeflow.default.volumes: [{{claim: NAME, mount_path: {kubeflow.root}}}]"
            yield _refused(
                node,
                f"resources.kubeflow.root {kubeflow.root!r} is on none of its volumes.",
                f"Mount a claim there: {setting}.",
            )


def check_data_path(compiled: Compiled) -> Iterator[Finding]:
    """Pods see volumes, object stores and the image; not the machine that compiles."""
    path = compiled.config.data.path
    if path.startswith(PACKAGE_PREFIX):
        return
    if "://" in path:
        if scheme_of(path) == "s3":
            yield _note("ExampleGen", "TensorFlow reads s3:// only with tensorflow-io, which the image must hold.",
                        "Or mount the data, or use gs://.")  # fmt: skip
        elif scheme_of(path) != "gs":
            yield _refused("ExampleGen", f"TensorFlow does not read {path!r}.", "Use gs://, or a mounted volume.")
        return
    kubeflow = compiled.config.resources.kubeflow
    mounts = tuple(volume.mount_path for volume in kubeflow.of("ExampleGen").volumes)
    if compiled.target == "vertex":
        mounts = (*mounts, "/gcs")
    if not _inside(path, (kubeflow.config_folder, *mounts)):
        remedy = "Mount them, use gs://, or keep the files beside the configuration, which the image holds."
        yield _refused("ExampleGen", f"The data {path!r} is on none of its volumes.", remedy)


def check_published_folder(compiled: Compiled) -> Iterator[Finding]:
    """The copy of the versions on an object store is written by the Pusher's pod."""
    url = compiled.config.serving.publish_to
    if scheme_of(url) == "s3":
        problem = f"TensorFlow writes {url} only with tensorflow-io, which the image must hold."
        yield _note("Pusher", problem, "Add `taxiway[s3]` to the image, and a key from a secret or the pod's account.")
    elif url:
        yield _note("Pusher", f"It copies each version to {url}.", "The pod's account must be allowed to write there.")


def _inside(path: str, folders: tuple[str, ...]) -> bool:
    return any(PurePosixPath(path).is_relative_to(folder) for folder in folders)


def check_fingerprint(compiled: Compiled) -> Iterator[Finding]:
    """The backend's cache does not look at files."""
    parameters = compiled.spec["root"].get("inputDefinitions", {}).get("parameters", {})
    if "data_fingerprint" in parameters and not parameters["data_fingerprint"].get("defaultValue"):
        remedy = "ExampleGen is not cached, and so nothing is: give --param data_fingerprint=DIGEST and cache: true."
        yield _note("ExampleGen", "This machine does not see the data.", remedy)


def check_cached_data(compiled: Compiled) -> Iterator[Finding]:
    """Files that change under their name."""
    if "{SPAN}" in compiled.config.data.path or _tasks(compiled).get("ExampleGen", {}).get("cachingOptions"):
        remedy = "`taxiway submit` sends the digest of what it sees; without it, an edited file is a cache hit."
        yield _note("ExampleGen", "The backend caches by parameters, not by files.", remedy)


def check_node_names(compiled: Compiled) -> Iterator[Finding]:
    """Resources for a node that the pipeline does not have."""
    known = _tasks(compiled)
    for node in compiled.config.resources.kubeflow.components:
        if node not in known:
            remedy = close_matches(node, known)
            yield _refused("", f"resources.kubeflow.components names {node!r}, which is no node.", remedy)


def check_accelerators(compiled: Compiled) -> Iterator[Finding]:
    """Each target has its own names of accelerators."""
    for node, resources in _resources(compiled):
        if not resources.gpu_count:
            continue
        if compiled.target == "vertex" and not re.fullmatch(r"(NVIDIA|TPU)_[A-Z0-9_]+", resources.gpu_type):
            yield _refused(node, f"gpu_type {resources.gpu_type!r} is none of Vertex AI.", "Such as NVIDIA_TESLA_T4.")
        if compiled.target == "kfp" and resources.gpu_type and "/" not in resources.gpu_type:
            remedy = "Kubernetes counts `nvidia.com/gpu`; choose the kind with node_selector."
            yield _refused(node, f"gpu_type {resources.gpu_type!r} is no resource of Kubernetes.", remedy,
                           f"{BACKEND}/v2/driver/driver.go")  # fmt: skip


def check_platform(compiled: Compiled) -> Iterator[Finding]:
    """What older backends do not know, and Vertex has no place for."""
    if compiled.target == "vertex":
        for node, resources in _resources(compiled):
            asked = [name for name in _KUBERNETES_ONLY if getattr(resources, name)]
            if asked:
                yield Finding(node=node, level="ignored", problem=f"Vertex AI has no {', '.join(asked)}.")
        return
    executors = compiled.platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
    used = sorted({name for e in executors.get("executors", {}).values() for name in e if name in SINCE_2_1_0})
    if used:
        yield _note("", f"{', '.join(used)}: a backend before 2.1.0 refuses them.")


_KUBERNETES_ONLY = (
    "node_selector",
    "tolerations",
    "secret_variables",
    "secret_volumes",
    "volumes",
    "labels",
    "annotations",
    "image_pull_policy",
    "image_pull_secrets",
    "timeout_seconds",
)


def check_secrets(compiled: Compiled) -> Iterator[Finding]:
    """Everyone who sees the pipeline reads its text."""
    for node, resources in _resources(compiled):
        for name in resources.environment:
            if SECRET_NAME.search(name):
                remedy = "Keep it in a Kubernetes secret: secret_variables."
                yield _refused(node, f"The variable {name} would be readable in the pipeline.", remedy)
    if SECRET_VALUE.search(compiled.text):
        yield _refused("", "The compiled pipeline holds what looks like a key, a token or a password in a URL.",
                       "Use secret_variables or secret_volumes.")  # fmt: skip


def check_machine_paths(compiled: Compiled) -> Iterator[Finding]:
    """A path of this machine means nothing in a pod, and says who compiled."""
    text = compiled.text
    source = compiled.config.source
    places = {str(Path.home()), str(Path.cwd()), str(Path(__file__).resolve().parents[2])}
    places |= {str(source.parent)} if source else set()
    mounted = [v.mount_path for _, r in _resources(compiled) for v in r.volumes]
    for place in sorted(places):
        if len(PurePosixPath(place).parts) > 2 and not _inside(place, tuple(mounted)) and f"{place}/" in text:
            yield _refused("", f"The compiled pipeline names {place}, a folder of this machine.",
                           "Give paths of the image or of a volume.")  # fmt: skip


def check_loopback(compiled: Compiled) -> Iterator[Finding]:
    """An address that means another machine in a pod."""
    for argument in compiled.config.resources.beam_args:
        host = re.search(r"=(?:\w+://)?([\w.]+):\d+", argument)
        if host and (host[1] == "localhost" or _is_loopback(host[1])):
            yield _refused("", f"The Beam option {argument!r} points at the pod itself.", "Name a service.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_size(compiled: Compiled) -> Iterator[Finding]:
    """A workflow is one Kubernetes object."""
    size = len(compiled.text.encode())
    if size > MAX_SPEC_BYTES and compiled.target == "kfp":
        yield _refused("", f"The specification has {size} bytes.", f"A workflow holds at most {MAX_SPEC_BYTES}.")


CHECKS: tuple[Check, ...] = (
    check_schema_version,
    check_pipeline_name,
    check_task_names,
    check_resolvers,
    check_importer_conditions,
    check_lifecycle,
    check_artifact_types,
    check_conditions,
    check_image,
    check_pipeline_root,
    check_root_folder,
    check_data_path,
    check_published_folder,
    check_fingerprint,
    check_cached_data,
    check_node_names,
    check_accelerators,
    check_platform,
    check_secrets,
    check_machine_paths,
    check_loopback,
    check_size,
)
