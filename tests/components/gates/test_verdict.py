"""What a verdict says of itself."""

import json

import pytest

from taxiway.components.gates.verdict import VERDICT_FILE, GateFinding, VerdictRecord


def judge(*names, **fields):
    findings = [GateFinding(rule="r", explanation=f"{name} is bad", column=name, **fields) for name in names]
    return VerdictRecord(gate="DataGate", findings=tuple(findings))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ((), ""),
        (("fare",), "fare: fare is bad"),
        (("fare", "tips"), "fare: fare is bad (and 1 more)"),
        (("fare", "tips", "miles"), "fare: fare is bad (and 2 more)"),
    ],
)
def test_the_reason_is_the_first_finding_and_how_many_more(columns, reason):
    record = judge(*columns)
    assert record.reason == reason
    assert record.passed is (reason == "")


def test_what_does_not_block_is_no_reason():
    noted = judge("fare", blocking=False)
    both = VerdictRecord(gate="DataGate", findings=(*noted.findings, *judge("tips").findings))
    assert noted.passed and noted.reason == ""
    assert both.reason == "tips: tips is bad"


def test_a_finding_of_no_column_has_no_prefix():
    assert judge("").reason == " is bad"


def test_files_have_the_first_format_version(tmp_path):
    """Readers elsewhere go by it: another number is another format."""
    judge("fare").write_verdict(tmp_path)
    assert json.loads((tmp_path / VERDICT_FILE).read_text())["version"] == 1
