"""`make licenses`: writes THIRD_PARTY_LICENSES.md from the metadata of a stack's installed packages.

The page has a section a stack. A stack's licenses can be read only where it is installed, so a call writes one section
and leaves the others as they are; `--site-packages` names an environment of the other stack.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

from deploy.image import HOME, LOCKS, STACKS

PAGE = HOME / "THIRD_PARTY_LICENSES.md"
HEADER = """# Licenses of third-party packages

Taxiway itself is licensed under the Apache License 2.0 (`LICENSE`). `make image` installs the packages of its stack's
lock beside it; their licenses are listed here, a section a stack, as their own metadata names them. The texts are in
the image, under `/opt/venv/lib/python3.*/site-packages/<package>-<version>.dist-info/`. Python and the operating system
come from the base image, with licenses of their own. `make licenses` writes the section of the installed stack.

A package may hold work of others under another license than its metadata names: `axe-playwright-python` (MIT), which
the tests use, holds axe-core by Deque Systems, under the Mozilla Public License 2.0 (https://mozilla.org/MPL/2.0/).
"""
SECTION = """
## {stack}

The packages of `{lock}` on Linux with Python {python}.

| package | version | license | files with the text |
|---|---|---|---|
"""
_PINNED = re.compile(r"^[A-Za-z0-9_.-]+(?:\[[^\]]*\])?==[^\\\n]+", re.MULTILINE)
_IMAGE = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
}
"""What markers ask of the system that an image is, beside its Python."""
_LICENSE_FILE = re.compile(r"(LICEN[CS]E|COPYING|NOTICE)", re.IGNORECASE)
_KNOWN_TEXTS = (("apache license", "Apache-2.0"), ("mit license", "MIT"), ("permission is hereby granted", "MIT"))
_LONGEST_NAME = 80
"""Some packages have the whole text where the license's name belongs."""


class LicenseError(Exception):
    """The licenses cannot be read; the message says what to do."""


@dataclass(frozen=True)
class PackageLicense:
    """What a package says of its license.

    Attributes:
        name: Name in the lock.
        version: Version in the lock.
        license: Name of the license, or an SPDX expression.
        files: Names of the files with the text.
    """

    name: str
    version: str
    license: str
    files: tuple[str, ...]


def list_pinned(lock: str, python: str) -> dict[str, str]:
    """Versions by package that a lock installs in an image.

    Args:
        lock: Text of the lock.
        python: Version of Python, such as `3.12`.
    """
    image = {**_IMAGE, "python_version": python, "python_full_version": f"{python}.0"}
    requirements = map(Requirement, _PINNED.findall(lock))
    installed = (each for each in requirements if each.marker is None or each.marker.evaluate(image))
    return {each.name: str(each.specifier).removeprefix("==") for each in installed}


def read_licenses(pinned: dict[str, str], site_packages: Sequence[str] = sys.path) -> list[PackageLicense]:
    """The licenses of installed packages, by name.

    Args:
        pinned: Versions by package.
        site_packages: Folders where they are installed.

    Raises:
        LicenseError: A package is not installed there, or in another version.
    """
    return [_read_license(name, version, site_packages) for name, version in sorted(pinned.items())]


def _read_license(name: str, version: str, site_packages: Sequence[str]) -> PackageLicense:
    distribution = next(iter(metadata.distributions(name=name, path=list(site_packages))), None)
    if distribution is None or distribution.version != version:
        found = f"{name} {distribution.version}" if distribution else "nothing of that name"
        raise LicenseError(f"The lock has {name} {version}, and {found} is installed: run `make setup` first.")
    texts = [file for file in distribution.files or () if _is_license_text(file)]
    named = _find_name(distribution.metadata) or _recognize_text(texts)
    return PackageLicense(name, version, named, tuple(sorted({file.name for file in texts})))


def _is_license_text(file: metadata.PackagePath) -> bool:
    return ".dist-info" in file.parts[0] and bool(_LICENSE_FILE.match(file.name))


def _find_name(described: metadata.PackageMetadata) -> str:
    classifiers = [
        line.rpartition("::")[2].strip()
        for line in described.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    specific = [name for name in classifiers if name not in ("OSI Approved", "DFSG approved")]
    first_line = (described.get("License") or "").strip().partition("\n")[0]
    return described.get("License-Expression") or "; ".join(specific) or first_line[:_LONGEST_NAME]


def _recognize_text(files: Iterable[metadata.PackagePath]) -> str:
    for file in files:
        text = file.read_text().lower()
        for words, name in _KNOWN_TEXTS:
            if words in text:
                return f"{name} (by its text)"
    return "not stated"


def format_section(stack: str, licenses: Iterable[PackageLicense]) -> str:
    """The section of a stack."""
    rows = (
        f"| {each.name} | {each.version} | {each.license} | {', '.join(each.files) or 'none'} |" for each in licenses
    )
    return SECTION.format(stack=stack, lock=LOCKS[stack], python=STACKS[stack].python) + "\n".join(rows) + "\n"


def read_section(page: str, stack: str) -> str:
    """The section of a stack as a page has it; empty: it has none."""
    found = re.search(rf"^\n## {re.escape(stack)}\n.*?(?=^\n## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""


def format_page(sections: dict[str, str]) -> str:
    """The whole page, from the sections by stack."""
    return HEADER + "".join(sections[stack] for stack in STACKS)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes one section of the page."""
    parser = argparse.ArgumentParser(prog="python -m deploy.third_party_licenses")
    parser.add_argument("--stack", choices=tuple(STACKS), help="default: the one of this Python")
    parser.add_argument("--site-packages", action="append", help="where its packages are; default: this environment")
    options = parser.parse_args(argv)
    stack = options.stack or _find_own_stack()
    try:
        pinned = list_pinned((HOME / LOCKS[stack]).read_text(encoding="utf-8"), STACKS[stack].python)
        licenses = read_licenses(pinned, options.site_packages or sys.path)
    except LicenseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    page = PAGE.read_text(encoding="utf-8")
    sections = {each: read_section(page, each) for each in STACKS} | {stack: format_section(stack, licenses)}
    PAGE.write_text(format_page(sections), encoding="utf-8")
    print(f"{PAGE.name}: {len(licenses)} packages of {stack}")
    return 0


def _find_own_stack() -> str:
    python = ".".join(map(str, sys.version_info[:2]))
    return next((name for name, stack in STACKS.items() if stack.python == python), "current")


if __name__ == "__main__":
    sys.exit(main())
