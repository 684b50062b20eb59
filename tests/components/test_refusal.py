import pytest

from taxiway.components.refusal import Refusal


def test_a_refusal_is_true_and_reads_as_its_reason():
    refusal = Refusal("there is no GPU")
    assert refusal
    assert f"not tried: {refusal}" == "not tried: there is no GPU"


def test_a_refusal_without_a_reason_cannot_be_made():
    with pytest.raises(ValueError, match="return None"):
        Refusal("")
