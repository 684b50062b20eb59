"""Beam, once changed, gets the same arguments of every function, and asks for those of a method once."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import apache_beam as beam
import pytest
from apache_beam.transforms import core

from taxiway.components.beam import beam_private
from taxiway.components.errors import TaxiwayError


class _Stateful(beam.DoFn):
    def __init__(self, step: int) -> None:
        self._step = step

    def process(self, element, window=beam.DoFn.WindowParam, step=2):
        yield element


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The change, undone afterwards."""
    original = core.get_function_args_defaults
    monkeypatch.setattr(core, "get_function_args_defaults", getattr(original, "original", original))
    beam_private.remember_signatures()
    beam_private.remember_signatures()
    yield


def test_the_arguments_are_beams_own(remembered: None) -> None:
    changed, original = core.get_function_args_defaults, core.get_function_args_defaults.original
    methods = [_Stateful(1).process, _Stateful(2).process, beam.ParDo.expand]
    functions = [*methods, _Stateful, len, "".join, lambda a, b=1: a]
    for function in [*functions, *functions]:
        assert changed(function) == original(function)


def test_a_method_is_looked_at_once_and_callers_get_lists_of_their_own(
    remembered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    signature = inspect.signature
    monkeypatch.setattr(inspect, "signature", lambda function: looked.append(function) or signature(function))
    for step in range(3):
        arguments, defaults = core.get_function_args_defaults(_Stateful(step).process)
        assert (arguments, defaults[1:]) == (["element", "window", "step"], [2])
        arguments.clear()
    assert len(looked) == 1


def test_a_beam_without_the_function_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(core, "get_function_args_defaults")
    with pytest.raises(TaxiwayError, match=r"has no apache_beam\.transforms\.core\.get_function_args_defaults"):
        beam_private.remember_signatures()
