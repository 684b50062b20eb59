"""One place says how `taxiway` ends; no other module counts for itself."""

import re
from pathlib import Path

from taxiway.components.errors import ConfigError, StoreError
from taxiway.pipeline import exit_codes

PIPELINE = Path(exit_codes.__file__).parent


def test_codes_are_the_documented_ones():
    codes = {name: value for name, value in vars(exit_codes).items() if name.startswith("EXIT_")}
    assert codes == {
        "EXIT_LIVE": 0,
        "EXIT_FAILED": 1,
        "EXIT_USAGE": 2,
        "EXIT_BLOCKED": 3,
        "EXIT_LOST": 4,
        "EXIT_UNJUDGED": 5,
        "EXIT_AGAIN": 75,
        "EXIT_INTERRUPTED": 130,
        "EXIT_TERMINATED": 143,
    }


def test_errors_end_with_the_same_codes():
    assert ConfigError("x").exit_code == exit_codes.EXIT_USAGE
    assert StoreError("x").exit_code == exit_codes.EXIT_FAILED


def test_no_other_module_declares_one():
    declared = re.compile(
        r"^EXIT_\w+(, EXIT_\w+)* = |exit_code[\"']?\s*[:=]\s*\d|\"(blocked|failed)\", \d", re.MULTILINE
    )
    others = [path for path in PIPELINE.rglob("*.py") if path.name != "exit_codes.py" and path.parent.name != "bench"]
    assert [path.name for path in others if declared.search(path.read_text(encoding="utf-8"))] == []
