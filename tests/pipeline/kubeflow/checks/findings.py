"""What the checks say of a compiled pipeline."""

from __future__ import annotations

from taxiway.pipeline.kubeflow import checks


def messages(compiled, level="refused"):
    return [str(finding) for finding in checks.examine_pipeline(compiled) if finding.level == level]
