"""Where a configuration's curated schema is. Nothing heavy is imported here.

`schema.pbtxt` beside the configuration, and `NAME.schema.pbtxt` where that one was inferred for another configuration
of the same folder: two tables must not be judged by one schema unless somebody says so.
"""

from __future__ import annotations

from pathlib import Path

SHARED_NAME = "schema.pbtxt"
_OWNER = "# configuration: "
_LINES = 5


def locate_schema(configuration: Path) -> Path:
    """The schema's path, whether it is there yet or not.

    Args:
        configuration: The YAML file.
    """
    own = configuration.with_name(f"{configuration.stem}.{SHARED_NAME}")
    shared = configuration.with_name(SHARED_NAME)
    if own.exists():
        return own
    owner = _read_owner(shared)
    of_another = owner not in ("", configuration.name) and configuration.with_name(owner).exists()
    return own if of_another else shared


def format_owner_line(configuration: str) -> str:
    """The line by which an inferred schema names the configuration that it was made for."""
    return f"{_OWNER}{configuration}\n" if configuration else ""


def _read_owner(schema: Path) -> str:
    """The configuration that a schema was inferred for; empty where it does not say: then it is everybody's."""
    try:
        with schema.open(encoding="utf-8", errors="replace") as file:
            lines = [file.readline() for _ in range(_LINES)]
    except OSError:
        return ""
    return next((line.removeprefix(_OWNER).strip() for line in lines if line.startswith(_OWNER)), "")
