"""As whom a container runs."""

from __future__ import annotations

from pydantic import Field, model_validator

from taxiway.components.config_section import Section


class SecurityContext(Section):
    """User and group of the component's container. From Kubeflow 2.16 on; an administrator's settings come first.

    Capabilities, privileges and the seccomp profile are the backend's: it drops all capabilities and allows no more
    privileges. It has no group of volumes (`fsGroup`).
    """

    run_as_user: int | None = Field(None, ge=0)
    """Not set: the image's, 1000 of ours."""
    run_as_group: int | None = Field(None, ge=0)
    run_as_non_root: bool | None = None
    """`true` where the namespace enforces the Pod Security Standard *restricted*, which takes no pod without it."""

    @model_validator(mode="after")
    def _check_root(self) -> SecurityContext:
        if self.run_as_user == 0 and self.run_as_non_root:
            raise ValueError(
                "run_as_user 0 is root, which run_as_non_root forbids: give another user, or leave one out"
            )
        return self
