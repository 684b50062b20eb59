"""Which engine runs the Beam steps: the section `resources.beam`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from taxiway.components.config_section import Section

Engine = Literal["local", "flink", "spark", "dataflow"]
Environment = Literal["external", "docker", "loopback"]
_ADDRESS = re.compile(r"(https?://)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_PORTABLE = ("flink", "spark")
_EXAMPLE = "resources.beam: {runner: flink, job_endpoint: HOST:8099, worker_pool: localhost:50000, parallelism: 4}"


def _check_address(address: str) -> str:
    if address and not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is no address, such as flink-jobserver:8099")
    return address


Address = Annotated[str, AfterValidator(_check_address)]


class BeamConfig(Section):
    """Where the steps that read every row run: in the step's own process, or on a cluster."""

    runner: Engine = "local"
    """The engine. Anything but `local` needs artifacts where its workers see them: a shared disk or an object store."""
    job_endpoint: Address = ""
    """Flink and Spark: Beam's job server, `host:port`, which runs beside the cluster."""
    artifact_endpoint: Address = ""
    """With `job_endpoint`: where steps bring what they stage; empty: where the job server says, its own host."""
    master: Address = ""
    """Flink and Spark, instead of a job server: the cluster itself; a job server is started here for every step."""
    job_server_jar: str = ""
    """With `master`: the job server's jar on this machine. Without it Beam would download one."""
    parallelism: int = Field(0, ge=0)
    """Flink: how many subtasks share a step; 0: what the cluster is set to. Dataflow: the first number of workers."""
    environment: Environment = "external"
    """Where workers run our code. `external`: in a pool beside each of the engine's machines, from our image;
    `docker`: containers that the engine's machines start from `image`; `loopback`: the step's own process, to try."""
    worker_pool: Address = "localhost:50000"
    """With `external`: the pool, as the engine's machines see it."""
    image: str = ""
    """With `docker`, and for Dataflow: the image that `make image` built, in a registry that workers can pull from."""
    preflight_seconds: float = Field(60.0, gt=0)
    """How long a run waits for a first element to come back from a worker before it begins; see `taxiway doctor`."""

    @property
    def is_remote(self) -> bool:
        """Whether the steps run on an engine of its own."""
        return self.runner != "local"

    @model_validator(mode="after")
    def _check_engine(self) -> BeamConfig:
        for problem in (*self._find_unused_keys(), *self._find_missing_keys()):
            raise ValueError(problem)
        return self

    def _find_unused_keys(self) -> list[str]:
        """What is set and would do nothing."""
        used = {"local": {"runner"}, "dataflow": {"runner", "image", "parallelism", "preflight_seconds"}}
        fields = type(self).model_fields
        changed = {key for key, field in fields.items() if getattr(self, key) != field.default}
        unused = changed - used.get(self.runner, set(fields))
        problems = [f"{key} means nothing with runner {self.runner}" for key in sorted(unused)]
        if self.runner == "spark" and self.parallelism:
            problems.append("parallelism is Spark's own setting, spark.default.parallelism, not Beam's")
        if self.runner in _PORTABLE and self.image and self.environment != "docker":
            problems.append(f"image means nothing with environment {self.environment}: workers are started elsewhere")
        return problems

    def _find_missing_keys(self) -> list[str]:
        problems = []
        if self.runner in _PORTABLE and bool(self.master) == bool(self.job_endpoint):
            problems.append(f"runner {self.runner} needs job_endpoint or master, one of them; such as {_EXAMPLE}")
        if self.runner in _PORTABLE and bool(self.master) != bool(self.job_server_jar):
            problems.append("master and job_server_jar go together: the jar of Beam's job server, on this machine")
        if self.artifact_endpoint and not self.job_endpoint:
            problems.append("artifact_endpoint is a part of the job server: name its job_endpoint too")
        docker = self.runner in _PORTABLE and self.environment == "docker"
        if (docker or self.runner == "dataflow") and not self.image:
            problems.append("image is missing: Beam's own image has no taxiway; name the one that `make image` built")
        return problems
