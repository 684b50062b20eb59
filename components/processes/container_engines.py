"""Container engines, in the order in which they are looked for."""

ENGINES = ("podman", "docker")
