"""Names that the pages use in Python are exported, and attributes that they list are there."""

import re

import pytest

import taxiway
from tests.docs.pages import HOME, PAGES, list_blocks, name_page

PACKAGES = {"components", "pipeline", "data"}
PYTHON_PAGES = [page for page in PAGES if re.search(r"^import taxiway$", page.read_text(), re.MULTILINE)]


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=name_page)
def test_what_is_used_is_exported(page):
    code = "\n".join(list_blocks(page, "python") + list_blocks(page, "sh"))
    used = set(re.findall(r"\btaxiway\.([A-Za-z_]+)\b(?!\.yaml)", code))
    assert used
    assert used <= {*taxiway.__all__, *PACKAGES}


def test_the_table_of_a_run_lists_what_a_run_has():
    rows = re.findall(r"^\| (`[a-z_]+[`(].*?) \|", (HOME / "docs" / "python.md").read_text(), re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`([a-z_]+)", row)}
    public = {name for name in {*vars(taxiway.Run), *taxiway.Run.__dataclass_fields__} if not name.startswith("_")}
    assert listed == public - {"id", "root"}


def test_the_reference_lists_every_public_name():
    pages = "".join(page.read_text() for page in (HOME / "docs" / "api").glob("*.md"))
    listed = set(re.findall(r"^::: taxiway\.(\w+)$", pages, re.MULTILINE))
    errors = {name for name in taxiway.__all__ if name.endswith("Error") and name != "RunFailedError"}
    assert "::: taxiway.components.errors" in pages
    assert listed == set(taxiway.__all__) - errors
