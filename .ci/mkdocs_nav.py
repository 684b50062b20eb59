"""A hook of mkdocs: a pattern such as `decisions/*.md` in the navigation stands for its pages in order."""

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Replaces the patterns."""
    config["nav"] = _expand_entries(config["nav"], Path(config["docs_dir"]))
    return config


def _expand_entries(entries: list[Any], pages: Path) -> list[Any]:
    expanded: list[Any] = []
    for entry in entries:
        if isinstance(entry, str) and "*" in entry:
            expanded += sorted(str(page.relative_to(pages)) for page in pages.glob(entry))
        elif isinstance(entry, dict):
            expanded += [{title: _expand_value(value, pages)} for title, value in entry.items()]
        else:
            expanded.append(entry)
    return expanded


def _expand_value(value: Any, pages: Path) -> Any:
    return _expand_entries(value, pages) if isinstance(value, list) else value
