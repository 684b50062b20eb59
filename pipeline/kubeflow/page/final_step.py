"""The container of the last step: the run's report and its summary, however the other steps ended.

It is an exit handler, so it reads no artifact: an input of a step that was skipped would end its driver. What it tells
comes from the records and the results that the nodes left under the root, and needs no credentials. A node without a
record was skipped, or its pod was killed. The step ends well whatever it finds.
"""

from __future__ import annotations

import argparse
import html
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taxiway.components.errors import StoreError, TaxiwayError
from taxiway.components.files.durable_files import replace_file
from taxiway.environment import set_environment
from taxiway.pipeline.kubeflow import entrypoint, parameters, pod_folders
from taxiway.pipeline.kubeflow.page import metadata, summary, writing
from taxiway.pipeline.kubeflow.page.outputs import FINAL_NODE, METRICS, REPORT, SUMMARY
from taxiway.pipeline.report import build
from taxiway.pipeline.report.run_data import RunData
from taxiway.pipeline.root import Root
from taxiway.pipeline.tracking.run_record import NodeRecord, RunRecord
from taxiway.pipeline.tracking.store.execution_record import FOLDER

NODES = "--nodes"
"""The argument by which the compiler names the nodes of the pipeline, in data order."""
LOST = "it left no record: its pod was killed (memory, deadline, eviction), or the run was cancelled"


@dataclass(frozen=True)
class FinalArguments:
    """The container's arguments: what the backend hands over, and the nodes of the pipeline in data order."""

    invocation: dict[str, Any]
    nodes: tuple[str, ...]


def parse_final_arguments(argv: Sequence[str]) -> FinalArguments:
    """Reads the arguments as the compiler wrote them."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument(NODES, required=True)
    options, _ = parser.parse_known_args(argv)
    return FinalArguments(json.loads(options.json_serialized_invocation_args), tuple(json.loads(options.nodes)))


def run_final_step(argv: Sequence[str]) -> None:
    """Writes report, summary and metrics of the run that the step belongs to."""
    arguments = parse_final_arguments(argv)
    page = writing.find_page_outputs(arguments.invocation, ())
    run_id, _ = entrypoint.find_run_and_pipeline(arguments.invocation, FINAL_NODE)
    root = arguments.invocation.get("inputs", {}).get("parameterValues", {}).get(parameters.ROOT.input, "")
    output_file = Path(arguments.invocation["outputs"]["outputFile"])
    writing.write_page_outputs(page, _show_run(root, run_id, arguments.nodes), output_file)


def _show_run(root: str, run_id: str, nodes: Sequence[str]) -> dict[str, Any]:
    try:
        run_data = _open_run(Root.at(root), run_id)
        run = complete_run(run_data.run, nodes)
        report = build.render_report(replace(run_data, run=run))
        _copy_report(Root.at(root), run_id, report)
        return {SUMMARY: summary.write_run(run), METRICS: metadata.make_run_metrics(run), REPORT: report}
    except (TaxiwayError, OSError, ValueError) as error:
        reason = f"The run {run_id} cannot be told: {error}"
        print(reason, file=sys.stderr, flush=True)
        return {
            SUMMARY: f"{summary.escape_markdown(reason)}\n",
            REPORT: f"<!doctype html><meta charset=utf-8><p>{html.escape(reason)}</p>\n",
        }


def _open_run(root: Root, run_id: str) -> RunData:
    """The run of exactly this id.

    Raises:
        StoreError: No node left a record.
    """
    if not (root.path / FOLDER / run_id).is_dir():
        raise StoreError(
            f"no node left a record of it under {root.path}.",
            "Mount a volume that the pods may write at resources.kubeflow.root.",
        )
    return RunData.open_run(root, run_id)


def _copy_report(root: Root, run_id: str, report: str) -> None:
    """The report under the root too, where `taxiway ui` and people find it."""
    try:
        root.reports.mkdir(parents=True, exist_ok=True)
        replace_file(root.reports / f"{run_id}.html", report)
    except OSError as error:
        print(f"The report is not under {root.reports}: {error}", file=sys.stderr, flush=True)


def complete_run(run: RunRecord, nodes: Sequence[str]) -> RunRecord:
    """The run with the nodes that left no record, each with the reason as far as it can be known.

    Args:
        run: Run as its records tell it.
        nodes: Nodes of the pipeline, in data order.
    """
    known = {node.node: node for node in run.nodes}
    missing = [node for node in nodes if node not in known]
    ended = run.state in ("blocked", "failed", "live")
    lost = [] if ended else missing[:1]
    stopped = lost[0] if lost else run.reason.partition(":")[0]
    behind = f"behind {stopped}" if stopped else ""
    unknown = {
        node: NodeRecord(node=node, state="interrupted", reason=LOST)
        if node in lost
        else NodeRecord(node=node, state="skipped", reason=behind)
        for node in missing
    }
    others = [node for node in run.nodes if node.node not in nodes]
    changes: dict[str, Any] = {"nodes": (*others, *(known.get(node) or unknown[node] for node in nodes))}
    if lost:
        changes |= {"state": "interrupted", "reason": f"{lost[0]}: {LOST}"}
    return run.model_copy(update=changes)


def main() -> None:
    """The container's command."""
    set_environment()
    pod_folders.choose_home()
    run_final_step(sys.argv[1:])


if __name__ == "__main__":
    main()
