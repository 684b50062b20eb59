"""What a manifest is made for."""

from __future__ import annotations

from dataclasses import dataclass

from taxiway.components.serving.config import ServingConfig
from taxiway.pipeline.serving.manifests.storage import Storage


@dataclass(frozen=True)
class ManifestRequest:
    """The options of `taxiway serve --manifest`, complete.

    Attributes:
        model: Name of the model.
        name: Name of the objects.
        storage: Where the versions lie.
        config: Settings of the last push; the defaults where the directory is not on this machine.
        version: The live version, or the one that was named; None where it is not known here.
        pinned: Whether this version is served and no other.
        canary_percent: Share of the traffic for it; None: all of it.
        namespace: Namespace; empty: that of whoever applies it.
        service_account: Account of the pods; empty: the namespace's default.
        replicas: Number of pods, of an InferenceService the least.
    """

    model: str
    name: str
    storage: Storage
    config: ServingConfig
    version: int | None = None
    pinned: bool = False
    canary_percent: int | None = None
    namespace: str = ""
    service_account: str = ""
    replicas: int = 1
