"""What a run is made with: versions of Python and of packages, and the platform. No package is imported for it."""

from __future__ import annotations

import contextlib
import platform
from importlib import metadata

from taxiway.pipeline.tracking.run_record import RunEnvironment

PACKAGES = ("taxiway", "tfx", "tensorflow", "tf-keras", "tensorflow-transform", "apache-beam", "ml-metadata", "numpy")


def inspect_environment() -> RunEnvironment:
    """The environment of this process."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return RunEnvironment(python=platform.python_version(), platform=_describe_platform(), packages=versions)


def _describe_platform() -> str:
    """`Linux x86_64, glibc 2.36`; the C library only where the system names one."""
    c_library = " ".join(platform.libc_ver()).strip()
    return ", ".join(part for part in (f"{platform.system()} {platform.machine()}", c_library) if part)
