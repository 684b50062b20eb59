"""The pages of the documentation as text, blocks and links."""

import re
from pathlib import Path

HOME = Path(__file__).parents[2]
PAGES = sorted(
    [HOME / "README.md", HOME / "CONTRIBUTING.md", HOME / "CHANGELOG.md", *(HOME / "docs").rglob("*.md")],
    key=lambda page: page.relative_to(HOME).parts,
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def name_page(page: Path) -> str:
    """The page's path in the checkout."""
    return str(page.relative_to(HOME))


def list_blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of one language, in order."""
    return [content for found, content in _FENCE.findall(page.read_text()) if found == language]


def list_links(page: Path) -> list[str]:
    """Targets of links and images, outside of code."""
    return _LINK.findall(_CODE.sub("", _FENCE.sub("", page.read_text())))


def list_code_words(page: Path) -> list[str]:
    """The code spans of a page, without their backquotes."""
    return [code.strip("`") for code in _CODE.findall(_FENCE.sub("", page.read_text()))]


def list_anchors(page: Path) -> set[str]:
    """Anchors of the headings, as Markdown's and GitHub's renderers make them."""
    return {_make_anchor(heading) for heading in _HEADING.findall(_FENCE.sub("", page.read_text()))}


def _make_anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
    return re.sub(r"[ ]", "-", kept)
