"""Writes what the pages of `docs/components/` say of inputs, outputs and arguments, from the components themselves.

    python -m deploy.component_pages

Prose, artifacts and examples of a page are written by hand; what stands between the two marks is written here. A test
compares.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import taxiway

FOLDER = Path(__file__).parents[1] / "docs" / "components"
COMPONENTS = (
    "TabularExampleGen",
    "StatisticsGen",
    "CuratedSchema",
    "DataGate",
    "Transform",
    "Baseline",
    "Tuner",
    "Trainer",
    "Evaluator",
    "ModelOptimizer",
    "ServingValidator",
    "Pusher",
    "ModelExplainer",
)
"""In data order."""
BEGIN, END = "<!-- written by deploy/component_pages.py -->", "<!-- end -->"
_ENTRY = re.compile(r"^(\w+): ", re.MULTILINE)


def render_facts(name: str) -> str:
    """The generated part of a component's page."""
    component = getattr(taxiway, name)
    spec = component.SPEC_CLASS
    return "\n".join(
        [
            BEGIN,
            "",
            *_render_channels("In", spec.INPUTS),
            *_render_channels("Out", spec.OUTPUTS),
            *_render_arguments(component),
            END,
        ]
    )


def _render_channels(title: str, channels: dict[str, Any]) -> list[str]:
    if not channels:
        return [f"**{title}**: nothing.", ""]
    rows = [
        f"| `{key}` | `{channel.type.TYPE_NAME}` | {'may be left out' if channel.optional else 'always'} |"
        for key, channel in channels.items()
    ]
    return [f"**{title}**", "", "| channel | artifact type | |", "|---|---|---|", *rows, ""]


def _render_arguments(component: Any) -> list[str]:
    own = "__init__" in vars(component)
    if not own:
        return [f"**Arguments**: those of TFX's `{component.__mro__[1].__name__}`.", ""]
    meanings = _read_meanings(inspect.getdoc(component.__init__) or "")
    parameters = [p for p in inspect.signature(component.__init__).parameters.values() if p.name != "self"]
    rows = [f"| `{p.name}` | {_name_default(p)} | {meanings.get(p.name, '')} |" for p in parameters]
    return ["**Arguments**, all by keyword", "", "| argument | default | meaning |", "|---|---|---|", *rows, ""]


def _name_default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return "required"
    return "none" if parameter.default in (None, "", ()) else f"`{parameter.default!r}`"


def _read_meanings(docstring: str) -> dict[str, str]:
    """The entries of `Args:`, each on one line."""
    entries = docstring.partition("Args:\n")[2].partition("\n\n")[0]
    parts = _ENTRY.split(inspect.cleandoc(entries))[1:]
    texts = [" ".join(text.split()).replace("|", "\\|") for text in parts[1::2]]
    return dict(zip(parts[::2], texts, strict=True))


def replace_facts(page: str, name: str) -> str:
    """A page with its generated part as it is now."""
    before, _, rest = page.partition(BEGIN)
    return before + render_facts(name) + rest.partition(END)[2]


def name_page(name: str) -> Path:
    """The page of a component."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
    return FOLDER / f"{words}.md"


if __name__ == "__main__":
    for each in COMPONENTS:
        path = name_page(each)
        path.write_text(replace_facts(path.read_text(encoding="utf-8"), each), encoding="utf-8")
