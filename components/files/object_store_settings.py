"""How an object store is reached: endpoint, region, credentials. Nothing heavy is imported here.

Credentials are those that the store's own client finds: for `s3://` and `minio://` botocore's chain
(`AWS_ACCESS_KEY_ID`, shared profiles, the web identity of a Kubernetes service account, the machine's role), for
`gs://` Google's default credentials (`GOOGLE_APPLICATION_CREDENTIALS`, workload identity). What differs from store to
store is in the file that `TAXIWAY_OBJECT_STORES` names: Kubeflow's own description of its stores, the config map
`kfp-launcher` or its text `providers`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taxiway.components.errors import StoreError

STORES_VARIABLE = "TAXIWAY_OBJECT_STORES"
SECRETS_VARIABLE = "TAXIWAY_OBJECT_STORE_SECRETS"
"""Names a folder of mounted secrets, `<folder>/<secret>/<key>`."""
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
Provider = Literal["s3", "minio", "gs"]
SCHEMES: tuple[Provider, ...] = ("gs", "minio", "s3")


class _KubeflowSection(BaseModel):
    """Kubeflow's names of keys; what newer releases add is not refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class SecretReference(_KubeflowSection):
    """A Kubernetes secret and its keys."""

    secret_name: str = Field("", alias="secretName")
    access_key: str = Field("", alias="accessKeyKey")
    secret_key: str = Field("", alias="secretKeyKey")
    token: str = Field("", alias="tokenKey")


class Credentials(_KubeflowSection):
    """Where the credentials are."""

    from_environment: bool = Field(False, alias="fromEnv")
    secret: SecretReference | None = Field(None, alias="secretRef")


class StoreSettings(_KubeflowSection):
    """One store, or what differs for one bucket and prefix of it.

    Attributes:
        endpoint: Host and port, or URL; empty: the provider's own.
        disable_ssl: Whether an endpoint without a scheme is http.
        path_style: Whether the bucket is in the path; None: where there is an endpoint.
    """

    endpoint: str = ""
    region: str = ""
    disable_ssl: bool | None = Field(None, alias="disableSSL")
    path_style: bool | None = Field(None, alias="forcePathStyle")
    credentials: Credentials | None = None
    bucket: str = Field("", alias="bucketName")
    prefix: str = Field("", alias="keyPrefix")

    @property
    def endpoint_url(self) -> str:
        """The endpoint with its scheme; empty where there is none."""
        if not self.endpoint or "://" in self.endpoint:
            return self.endpoint
        return f"{'http' if self.disable_ssl else 'https'}://{self.endpoint}"


class ProviderSettings(_KubeflowSection):
    """One provider's stores."""

    default: StoreSettings = StoreSettings()
    overrides: tuple[StoreSettings, ...] = ()


def find_settings(provider: Provider, bucket: str, key: str = "") -> StoreSettings:
    """The settings of one place, those of the environment where the file has none.

    Args:
        provider: Scheme of the URL.
        bucket: Name of the bucket.
        key: What follows the bucket.

    Raises:
        StoreError: The file that `TAXIWAY_OBJECT_STORES` names is damaged, or `minio://` has no endpoint.
    """
    configured = _read_providers().get(provider, ProviderSettings())
    settings = configured.default
    for override in configured.overrides:
        if override.bucket == bucket and key.startswith(override.prefix):
            changes = {name: getattr(override, name) for name in override.model_fields_set}
            settings = settings.model_copy(update={name: value for name, value in changes.items() if value is not None})
            break
    settings = _add_environment(settings)
    if provider == "minio" and not settings.endpoint:
        raise StoreError(
            f"Nothing says where the object store of minio://{bucket} is.",
            f"Set {ENDPOINT_VARIABLES[0]}, such as http://localhost:9000 after `kubectl port-forward` of the cluster's "
            f"object store, with its AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or name Kubeflow's config map in "
            f"{STORES_VARIABLE} (docs/object-stores.md).",
        )
    return settings


def _add_environment(settings: StoreSettings) -> StoreSettings:
    found = {"endpoint": _find_variable(ENDPOINT_VARIABLES), "region": _find_variable(REGION_VARIABLES)}
    changes = {name: value for name, value in found.items() if value and not getattr(settings, name)}
    return settings.model_copy(update=changes)


def _find_variable(names: tuple[str, ...]) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def read_secret(settings: StoreSettings) -> dict[str, str]:
    """The mounted secret that the settings name: `access_key` and `secret_key`, or `token`; empty where there is none.

    Raises:
        StoreError: `TAXIWAY_OBJECT_STORE_SECRETS` is set, and does not hold it.
    """
    folder = os.environ.get(SECRETS_VARIABLE)
    reference = settings.credentials.secret if settings.credentials else None
    if not folder or reference is None or settings.credentials is None or settings.credentials.from_environment:
        return {}
    keys = {"access_key": reference.access_key, "secret_key": reference.secret_key, "token": reference.token}
    try:
        places = {name: Path(folder, reference.secret_name, key) for name, key in keys.items() if key}
        return {name: place.read_text(encoding="utf-8").strip() for name, place in places.items()}
    except OSError as error:
        raise StoreError(
            f"The secret {reference.secret_name} cannot be read: {error.filename}: {error.strerror}.",
            f"Mount it under {folder} ({SECRETS_VARIABLE}), or unset that variable: the environment's are then taken.",
        ) from error


def _read_providers() -> dict[str, ProviderSettings]:
    file = os.environ.get(STORES_VARIABLE)
    if not file:
        return {}
    try:
        return _parse_providers(yaml.safe_load(Path(file).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError, ValidationError) as error:
        raise StoreError(
            f"{file}, which {STORES_VARIABLE} names, describes no object stores: {error}.",
            "Write it with: kubectl get configmap kfp-launcher -n kubeflow -o yaml",
        ) from error


def _parse_providers(content: Any) -> dict[str, ProviderSettings]:
    """The providers of a config map, or of its text `providers`."""
    if "data" in content:
        content = yaml.safe_load(content["data"].get("providers") or "{}")
    providers = content.get("providers", content)
    parsed = {}
    for name, settings in (providers or {}).items():
        lowered = {key[:1].lower() + key[1:]: value for key, value in (settings or {}).items()}  # Go ignores the case
        parsed[name] = ProviderSettings.model_validate({key: value for key, value in lowered.items() if value})
    return parsed
