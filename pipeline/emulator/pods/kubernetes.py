"""What the platform's document asks of Kubernetes: `extendPodSpecPatch` of `backend/src/v2/driver/k8s.go`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from taxiway.pipeline.emulator import errors
from taxiway.pipeline.emulator.errors import TaskFailedError
from taxiway.pipeline.emulator.pods.processes import Mount

Config = Mapping[str, Any]
Patch = dict[str, Any]

_PULL_POLICIES = ("Always", "Never", "IfNotPresent")


def extend_patch(patch: Patch, config: Config) -> Patch:
    """The patch with what a `KubernetesExecutorConfig` asks for; volumes and variables keep the driver's order.

    Raises:
        TaskFailedError: The driver would refuse it.
    """
    for extend in _EXTENSIONS:
        extend(patch, patch["containers"][0], config)
    return patch


def list_mounts(patch: Patch) -> tuple[Mount, ...]:
    """The volumes of the patch's container."""
    volumes = {volume["name"]: volume for volume in patch.get("volumes", [])}
    return tuple(_make_mount(volumes[m["name"]], m) for m in patch["containers"][0].get("volumeMounts", []))


def _make_mount(volume: Mapping[str, Any], mount: Mapping[str, Any]) -> Mount:
    claim = volume.get("persistentVolumeClaim", {}).get("claimName", "")
    files = volume.get("secret", {}).get("secretName", "") or volume.get("configMap", {}).get("name", "")
    return Mount(claim or files, mount["mountPath"], mount.get("subPath", ""), read_only=bool(files))


def _extend_claims(patch: Patch, main: Patch, config: Config) -> None:
    for mount in config.get("pvcMount", []):
        name = _find_name(mount, "constant", "pvcNameParameter")
        if not name or not mount.get("mountPath"):
            raise TaskFailedError("failed to mount volume, missing mountpath or pvc name", errors.PLATFORM)
        sub_path = {"subPath": mount["subPath"]} if mount.get("subPath") else {}
        source = {"persistentVolumeClaim": {"claimName": name}}
        _add_volume(patch, main, name, mount["mountPath"], source, sub_path)


def _add_volume(
    patch: Patch, main: Patch, name: str, path: str, source: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> None:
    patch.setdefault("volumes", []).append({"name": name, **source})
    main.setdefault("volumeMounts", []).append({"name": name, "mountPath": path, **(extra or {})})


def _find_name(entry: Mapping[str, Any], plain: str, parameter: str) -> str:
    """A name that the document holds: `secretName`, or a parameter with a constant."""
    value = entry.get(parameter, {}).get("runtimeValue", {}).get("constant") if parameter in entry else None
    return str(value if value is not None else entry.get(plain, ""))


def _extend_pull_policy(patch: Patch, main: Patch, config: Config) -> None:
    policy = config.get("imagePullPolicy", "")
    if policy and policy not in _PULL_POLICIES:
        problem = f"unsupported value: {policy}. ImagePullPolicy should be one of 'Always', 'Never' or 'IfNotPresent'"
        raise TaskFailedError(problem, errors.PLATFORM)
    if policy:
        main["imagePullPolicy"] = policy


def _extend_placement(patch: Patch, main: Patch, config: Config) -> None:
    labels = config.get("nodeSelector", {}).get("labels", {})
    if labels:
        patch["nodeSelector"] = dict(labels)
    tolerations = [_make_toleration(toleration) for toleration in config.get("tolerations", [])]
    if tolerations:
        patch["tolerations"] = tolerations


def _make_toleration(toleration: Mapping[str, Any]) -> dict[str, Any]:
    names = ("key", "operator", "value", "effect", "tolerationSeconds")
    made = {name: toleration[name] for name in names if toleration.get(name) not in (None, "")}
    return {**made, **({"tolerationSeconds": int(made["tolerationSeconds"])} if "tolerationSeconds" in made else {})}


def _extend_secret_volumes(patch: Patch, main: Patch, config: Config) -> None:
    for entry in config.get("secretAsVolume", []):
        name = _find_name(entry, "secretName", "secretNameParameter")
        source = {"secret": {"secretName": name, "optional": bool(entry.get("optional"))}}
        _add_volume(patch, main, name, entry["mountPath"], source)


def _extend_config_volumes(patch: Patch, main: Patch, config: Config) -> None:
    for entry in config.get("configMapAsVolume", []):
        name = _find_name(entry, "configMapName", "configMapNameParameter")
        source = {"configMap": {"name": name, "optional": bool(entry.get("optional"))}}
        _add_volume(patch, main, name, entry["mountPath"], source)


def _extend_variables(patch: Patch, main: Patch, config: Config) -> None:
    found = [*_list_secret_variables(config), *_list_config_variables(config)]
    if found:
        main["env"] = [*main.get("env", []), *found]


def _list_secret_variables(config: Config) -> Iterator[dict[str, Any]]:
    for entry in config.get("secretAsEnv", []):
        for key in entry.get("keyToEnv", []):
            name = _find_name(entry, "secretName", "secretNameParameter")
            yield _refer_variable(key["envVar"], "secretKeyRef", name, key["secretKey"], entry)


def _list_config_variables(config: Config) -> Iterator[dict[str, Any]]:
    for entry in config.get("configMapAsEnv", []):
        for key in entry.get("keyToEnv", []):
            name = _find_name(entry, "configMapName", "configMapNameParameter")
            yield _refer_variable(key["envVar"], "configMapKeyRef", name, key["configMapKey"], entry)


def _refer_variable(variable: str, kind: str, name: str, key: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    optional = {"optional": entry["optional"]} if "optional" in entry else {}
    return {"name": variable, "valueFrom": {kind: {"name": name, "key": key, **optional}}}


def _extend_pull_secrets(patch: Patch, main: Patch, config: Config) -> None:
    names = [_find_name(e, "secretName", "secretNameParameter") for e in config.get("imagePullSecret", [])]
    if names:
        patch["imagePullSecrets"] = [{"name": name} for name in names]


def _extend_field_paths(patch: Patch, main: Patch, config: Config) -> None:
    for entry in config.get("fieldPathAsEnv", []):
        source = {"fieldRef": {"fieldPath": entry["fieldPath"]}}
        main.setdefault("env", []).append({"name": entry["name"], "valueFrom": source})


def _extend_deadline(patch: Patch, main: Patch, config: Config) -> None:
    if int(config.get("activeDeadlineSeconds", 0)) > 0:
        patch["activeDeadlineSeconds"] = int(config["activeDeadlineSeconds"])


def _extend_ephemeral_volumes(patch: Patch, main: Patch, config: Config) -> None:
    for entry in config.get("genericEphemeralVolume", []):
        storage_class = {} if entry.get("defaultStorageClass") else {"storageClassName": entry["storageClassName"]}
        specification = {
            "accessModes": list(entry.get("accessModes", [])),
            "resources": {"requests": {"storage": entry["size"]}},
            **storage_class,
        }
        template = {"metadata": dict(entry.get("metadata", {})), "spec": specification}
        source = {"ephemeral": {"volumeClaimTemplate": template}}
        _add_volume(patch, main, entry["volumeName"], entry["mountPath"], source)


def _extend_empty_folders(patch: Patch, main: Patch, config: Config) -> None:
    for entry in config.get("emptyDirMounts", []):
        source = {"emptyDir": {name: entry[name] for name in ("medium", "sizeLimit") if entry.get(name)}}
        _add_volume(patch, main, entry["volumeName"], entry["mountPath"], source)


def _extend_node_affinity(patch: Patch, main: Patch, config: Config) -> None:
    terms = [term for term in config.get("nodeAffinity", []) if term.get("matchExpressions") or term.get("matchFields")]
    required = [_make_term(term) for term in terms if "weight" not in term]
    preferred = [{"weight": term["weight"], "preference": _make_term(term)} for term in terms if "weight" in term]
    affinity: dict[str, Any] = {}
    if required:
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": required}
    if preferred:
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    if affinity:
        patch["affinity"] = {"nodeAffinity": affinity}


def _make_term(term: Mapping[str, Any]) -> dict[str, Any]:
    return {name: term[name] for name in ("matchExpressions", "matchFields") if term.get(name)}


def _extend_security(patch: Patch, main: Patch, config: Config) -> None:
    """Whatever the document asks, all capabilities are dropped with it."""
    if "securityContext" not in config:
        return
    asked = config["securityContext"]
    numbers = {name: int(asked[name]) for name in ("runAsUser", "runAsGroup") if name in asked}
    flag = {"runAsNonRoot": asked["runAsNonRoot"]} if "runAsNonRoot" in asked else {}
    main["securityContext"] = {**numbers, **flag, "capabilities": {"drop": ["ALL"]}}


_EXTENSIONS: tuple[Callable[[Patch, Patch, Config], None], ...] = (
    _extend_claims,
    _extend_pull_policy,
    _extend_placement,
    _extend_secret_volumes,
    _extend_variables,
    _extend_config_volumes,
    _extend_pull_secrets,
    _extend_field_paths,
    _extend_deadline,
    _extend_ephemeral_volumes,
    _extend_empty_folders,
    _extend_node_affinity,
    _extend_security,
)
