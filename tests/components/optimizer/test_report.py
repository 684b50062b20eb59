"""The report as a file: what is written is read, and what another format wrote is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxiway.components.errors import OptimizationError
from taxiway.components.optimizer.report import (
    MeasurementEnvironment,
    OptimizerDecision,
    OptimizerReport,
    read_report,
    write_optimizer_report,
)
from taxiway.components.optimizer.techniques import REFERENCE
from tests.components.optimizer.conftest import job
from tests.components.optimizer.test_decision import variant


def make_report(folder: Path) -> OptimizerReport:
    environment = MeasurementEnvironment(
        cpu="", cores=1, threads=1, platform="", python="", tensorflow="", gpu="", method=""
    )
    decision = OptimizerDecision(chosen=REFERENCE, objective="latency", batch_size=32, reasons=["none is better"])
    return OptimizerReport(
        task="binary",
        label="label",
        metric="auc",
        decision=decision,
        variants=[variant(REFERENCE), variant("frozen", 1.5)],
        environment=environment,
        job=job(folder, folder),
        seconds=1.0,
    )


def write_changed(folder: Path, **changes: object) -> Path:
    file = write_optimizer_report(make_report(folder), folder)
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return file


def test_what_is_written_is_read_from_the_file_and_from_its_folder(tmp_path):
    report = make_report(tmp_path)
    file = write_optimizer_report(report, tmp_path)
    assert read_report(file) == read_report(tmp_path) == report
    assert json.loads(file.read_text())["version"] == 1


@pytest.mark.parametrize("version", [2, 0, "1.0", None])
def test_another_format_version_is_refused_although_every_field_fits(tmp_path, version):
    write_changed(tmp_path, version=version)
    with pytest.raises(OptimizationError, match=f"format version {version!r}; this Taxiway reads version 1"):
        read_report(tmp_path)


def test_a_newer_format_with_other_fields_is_refused_for_its_version(tmp_path):
    write_changed(tmp_path, version=2, invented=[])
    with pytest.raises(OptimizationError, match="format version 2"):
        read_report(tmp_path)


def test_no_report_carries_another_version_into_the_program(tmp_path):
    with pytest.raises(ValueError, match="version"):
        OptimizerReport.model_validate({**make_report(tmp_path).model_dump(), "version": 2})


@pytest.mark.parametrize("text", ['{"version": 1}', "[]", "no JSON"])
def test_what_is_no_report_is_refused(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(OptimizationError, match="is not an optimization report"):
        read_report(tmp_path)


def test_a_field_that_the_format_does_not_have_is_refused(tmp_path):
    write_changed(tmp_path, invented=[])
    with pytest.raises(OptimizationError, match="invented"):
        read_report(tmp_path)


def test_a_report_that_is_not_there_is_said(tmp_path):
    with pytest.raises(OptimizationError, match="no optimization report"):
        read_report(tmp_path / "nowhere")


def test_a_variant_that_the_report_has_not_is_said(tmp_path):
    with pytest.raises(OptimizationError, match="It has: reference, frozen"):
        make_report(tmp_path).find_variant("frizen")
