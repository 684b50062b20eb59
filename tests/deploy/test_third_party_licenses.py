"""The licenses of what the images install."""

import platform

import pytest

from deploy import image, third_party_licenses
from deploy.third_party_licenses import PAGE, format_section, list_pinned, read_licenses, read_section

HOME = image.HOME
OWN = [name for name, stack in image.STACKS.items() if platform.python_version().startswith(f"{stack.python}.")]


def read_pinned(stack):
    return list_pinned((HOME / image.LOCKS[stack]).read_text(), image.STACKS[stack].python)


@pytest.mark.parametrize("stack", image.STACKS)
def test_a_stacks_section_names_every_package_of_its_lock(stack):
    """After `make lock` it does not until `make licenses` has run on that stack."""
    rows = [line.split(" | ") for line in read_section(PAGE.read_text(), stack).splitlines() if line.startswith("| ")]
    assert {row[0].removeprefix("| "): row[1] for row in rows[1:]} == read_pinned(stack)
    assert len(rows) > 200


@pytest.mark.parametrize("stack", OWN)
def test_every_package_states_its_license(stack):
    licenses = read_licenses(read_pinned(stack))
    assert [each.name for each in licenses if each.license == "not stated"] == []
    assert read_section(PAGE.read_text(), stack) == format_section(stack, licenses)


def test_a_lock_is_read_with_extras_and_without_other_systems():
    lock = """apache-beam[gcp]==2.65.0 \\
    --hash=sha256:00
    # via tfx
pywin32==312 ; sys_platform == 'win32' \\
    --hash=sha256:00
google-apitools==0.5.31 ; python_full_version < '3.13' \\
    --hash=sha256:00
google-apitools==0.5.35 ; python_full_version >= '3.13' \\
    --hash=sha256:00
"""
    assert list_pinned(lock, "3.12") == {"apache-beam": "2.65.0", "google-apitools": "0.5.31"}
    assert list_pinned(lock, "3.13") == {"apache-beam": "2.65.0", "google-apitools": "0.5.35"}


def install(folder, name, version):
    made = folder / f"{name}-{version}.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n"
    )
    (made / "LICENSE").write_text("text")
    (made / "RECORD").write_text(f"{made.name}/LICENSE,,\n")


@pytest.fixture()
def page(tmp_path, monkeypatch):
    """A page and a lock of one package, and a folder where it is installed."""
    (tmp_path / "requirements-current.lock").write_text("thing==2.0 \\\n    --hash=sha256:00\n")
    written = tmp_path / "page.md"
    written.write_text(third_party_licenses.format_page({"tf216": "\n## tf216\n\n| kept | 1 |\n", "current": ""}))
    monkeypatch.setattr(third_party_licenses, "HOME", tmp_path)
    monkeypatch.setattr(third_party_licenses, "PAGE", written)
    return written


def test_a_call_writes_its_own_section_and_leaves_the_other(page, tmp_path, capsys):
    install(tmp_path, "thing", "2.0")
    assert third_party_licenses.main(["--stack", "current", "--site-packages", str(tmp_path)]) == 0
    assert "1 packages of current" in capsys.readouterr().out
    assert "| kept | 1 |" in read_section(page.read_text(), "tf216")
    assert read_section(page.read_text(), "current").splitlines()[-1] == "| thing | 2.0 | MIT | LICENSE |"


@pytest.mark.parametrize(("installed", "found"), [("1.0", "thing 1.0"), ("", "nothing of that name")])
def test_another_environment_than_the_locks_is_refused(page, tmp_path, capsys, installed, found):
    if installed:
        install(tmp_path, "thing", installed)
    before = page.read_text()
    assert third_party_licenses.main(["--stack", "current", "--site-packages", str(tmp_path)]) == 2
    assert f"The lock has thing 2.0, and {found} is installed" in capsys.readouterr().err
    assert page.read_text() == before


def test_the_image_has_both_texts():
    assert {"LICENSE", PAGE.name} <= set(image.FILES)
    assert all((HOME / name).is_file() for name in (*image.FILES, *image.LOCKS.values()))
