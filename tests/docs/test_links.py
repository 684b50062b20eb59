"""Links, anchors and paths that the documentation names."""

import re

import pytest

from tests.docs.pages import HOME, PAGES, list_anchors, list_code_words, list_links, name_page

FOLDERS = ("components/", "pipeline/", "data/", "docs/", "tests/", "deploy/", "taxiway/", ".ci/")
_PATH = re.compile(r"(?!.*NAME)[\w./-]+")


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_links_lead_to_pages_and_anchors(page):
    assert _find_broken_links(page) == []


def _find_broken_links(page):
    broken = []
    for link in list_links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if "://" in link:
            broken.append(f"{link}: no page of another host is needed")
        elif not target.exists():
            broken.append(f"{link}: no such file")
        elif anchor and anchor not in list_anchors(target):
            broken.append(f"{link}: no such heading")
    return broken


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_page)
def test_paths_of_the_checkout_exist(page):
    """After a move the documentation must follow."""
    named = [word for word in list_code_words(page) if word.startswith(FOLDERS) and _PATH.fullmatch(word)]
    assert [word for word in named if not (HOME / word).exists()] == []


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading\n[a](gone.md) [b](#no-heading) [c](#a-heading) `[d](code.md)` ![e](https://x.example/y.png)"
    )
    assert [words.split(":")[0] for words in _find_broken_links(page)] == ["gone.md", "#no-heading", "https"]


def test_titles_of_decisions_are_without_their_number():
    """The number is in the file's name, and the site lists the titles in its order."""
    decisions = sorted((HOME / "docs" / "decisions").glob("*.md"))
    assert [page.name[:4] for page in decisions] == [f"{n:04}" for n in range(1, len(decisions) + 1)]
    assert [page.name for page in decisions if not re.match(r"# [A-Z]", page.read_text())] == []


def test_every_page_is_in_the_site():
    """A decision is, since the navigation has a pattern for them."""
    folder = HOME / "docs"
    patterns = re.findall(r"[\w./*-]+\.md", (HOME / "mkdocs.yml").read_text().partition("\nnav:")[2])
    listed = [str(page.relative_to(folder)) for pattern in patterns for page in folder.glob(pattern)]
    assert sorted(listed) == sorted(str(page.relative_to(folder)) for page in folder.rglob("*.md"))


def test_the_index_lists_every_page_but_single_decisions():
    index = HOME / "docs" / "index.md"
    linked = {link.partition("#")[0] for link in list_links(index)}
    top = {page.name for page in (HOME / "docs").glob("*.md")}
    assert top - {"index.md"} <= linked
