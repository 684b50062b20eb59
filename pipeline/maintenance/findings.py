"""What the doctor found of one ability of the machine."""

from __future__ import annotations

from taxiway.components.config_section import Section


class MachineFinding(Section):
    """What was found of one ability of the machine."""

    name: str
    ok: bool
    """This machine can do it."""
    detail: str
    """What was found; where it is not there, what does not work without it."""
    needed: bool = False
    """Without it `taxiway run` does not work."""
    advisories: tuple[str, ...] = ()
    """Ids of published advisories that this is a note of: nothing that the machine can or cannot do."""


def make_finding(name: str, ok: bool, seen: str, otherwise: str, *, needed: bool = False) -> MachineFinding:
    """A finding that says `otherwise` only where it is not as it should be."""
    detail = seen if ok else "; ".join(part for part in (seen, otherwise) if part)
    return MachineFinding(name=name, ok=ok, needed=needed, detail=detail)
