"""What one node shows on Kubeflow's page, made from the artifacts that it has just written."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taxiway.components.contract import judging_split_dir, serving_model_dir, training_dir
from taxiway.components.errors import TaxiwayError
from taxiway.components.files.versioned_report import OPTIMIZATION_REPORT, TRAINING_HISTORY
from taxiway.pipeline.kubeflow.page import metadata, summary
from taxiway.pipeline.kubeflow.page.outputs import CURVES, METRICS, SUMMARY, PageFacts
from taxiway.pipeline.report import scoring
from taxiway.pipeline.tracking import artifact_results
from taxiway.pipeline.tracking.run_record import OVERALL, MetricValues
from taxiway.pipeline.tracking.store.metadata_store import StoredArtifact

Shown = dict[str, str | metadata.Metadata]
"""By output: the text of its file, or its metadata."""


@dataclass(frozen=True)
class FinishedNode:
    """A node that has succeeded.

    Attributes:
        node: Id of the node.
        outputs: Artifacts that it wrote, with local folders as URIs.
        inputs: Artifacts that it read, the first of each input, with local folders as URIs.
        root: Root of the runs.
        kept: Folder of the node's kept results.
        facts: What the compiler says of the pipeline.
    """

    node: str
    outputs: tuple[StoredArtifact, ...]
    inputs: Mapping[str, StoredArtifact] = field(default_factory=dict)
    root: Path = Path()
    kept: Path = Path()
    facts: PageFacts = field(default_factory=PageFacts)

    def find_output(self, key: str) -> StoredArtifact | None:
        """An output by its name."""
        return next((artifact for artifact in self.outputs if artifact.key == key), None)


def show_node(finished: FinishedNode, wanted: tuple[str, ...]) -> Shown:
    """What a node shows. A part that cannot be made says why in its place, and fails no node.

    Args:
        finished: The node.
        wanted: Names of the outputs that the compiler has defined for it.
    """
    return {name: _try_maker(MAKERS[name], finished, name) for name in wanted if name in MAKERS}


def _try_maker(
    make: Callable[[FinishedNode], str | metadata.Metadata], finished: FinishedNode, name: str
) -> str | metadata.Metadata:
    try:
        return make(finished)
    except (TaxiwayError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{finished.node}: nothing for the page's {name}: {type(error).__name__}: {error}"
        print(reason, file=sys.stderr, flush=True)
        return f"{summary.escape_markdown(reason)}\n" if name == SUMMARY else {}


# ---- metrics ----


def _make_metrics(finished: FinishedNode) -> metadata.Metadata:
    if finished.node == "Trainer":
        return _make_training_metrics(finished)
    if finished.node == "ModelOptimizer":
        return _make_variant_metrics(finished)
    return metadata.make_evaluation_metrics(_find_overall(_read_metrics(finished)))


def _make_training_metrics(finished: FinishedNode) -> metadata.Metadata:
    """The evaluation of the exported step, and how long training took."""
    history = TRAINING_HISTORY.read_report(Path(training_dir(_find_folder(finished, "model")), "history.json"))
    points = history.get("evaluations", ())
    best: metadata.Metadata = next(
        (point["metrics"] for point in points if point["step"] == history.get("best_step")), {}
    )
    measured = {f"eval {name}": value for name, value in best.items()}
    figures = {name.replace("_", " "): history.get(name) for name in ("best_step", "steps", "rows", "seconds")}
    return metadata.make_metrics({**measured, **figures})


def _make_variant_metrics(finished: FinishedNode) -> metadata.Metadata:
    variants = artifact_results.read_variants(_find_folder(finished, "report"))
    chosen = next((variant for variant in variants if variant.chosen), None)
    figures = {
        "size in bytes": chosen and chosen.size_bytes,
        "p50 in ms": chosen and chosen.p50_ms,
        "p99 in ms": chosen and chosen.p99_ms,
        "faster by": chosen and chosen.speedup,
        "quality": chosen and chosen.quality,
        "variants": len(variants),
    }
    return metadata.make_metrics(figures)


def _read_metrics(finished: FinishedNode) -> tuple[MetricValues, ...]:
    return artifact_results.read_evaluation(_find_folder(finished, "evaluation"))


def _find_overall(values: tuple[MetricValues, ...]) -> MetricValues | None:
    return next((each for each in values if each.slice == OVERALL), None)


def _find_folder(finished: FinishedNode, key: str) -> str:
    artifact = finished.find_output(key)
    if artifact is None:
        raise ValueError(f"there is no output {key!r}")
    return artifact.uri


# ---- curves ----


def _make_curves(finished: FinishedNode) -> metadata.Metadata:
    """Scores the evaluation rows with both models, in a process of its own; the answer is kept for the report."""
    scored = scoring.load_scores(finished.kept, make_scoring_job(finished))
    if "error" in scored:
        raise ValueError(scored["error"])
    return metadata.make_curves(scored, scored.get("classes", ()))


def make_scoring_job(finished: FinishedNode) -> scoring.ScoringJob:
    """What an Evaluator's node can score: its model against its baseline, on the rows that decide."""
    facts, values = finished.facts, _read_metrics(finished)
    if facts.task is None:
        raise ValueError("the kind of the label is not known")
    mine, other = (serving_model_dir(finished.inputs[key].uri) for key in ("model", "baseline_model"))
    overall = _find_overall(values)
    return scoring.ScoringJob(
        served=mine,
        examples=judging_split_dir(finished.inputs["examples"].uri),
        label=facts.label,
        task=facts.task,
        evaluators={finished.node: (mine, other)},
        classes=_read_classes(finished.inputs["examples"]),
        metrics=tuple(overall.candidate) if overall else (),
        whole_metrics=_list_class_metrics(overall),
        slices=artifact_results.read_slices(_find_folder(finished, "evaluation")),
    )


def _read_classes(examples: StoredArtifact) -> tuple[str, ...]:
    return tuple(str(name) for name in json.loads(examples.properties.get("classes") or "[]"))


def _list_class_metrics(overall: MetricValues | None) -> tuple[str, ...]:
    """Names of the metrics of single classes: `recall[virginica]`."""
    classes = overall.classes if overall else {}
    return tuple(dict.fromkeys(f"{kind}[{name}]" for name, kinds in classes.items() for kind in kinds))


# ---- the summary ----


def _make_summary(finished: FinishedNode) -> str:
    gate = artifact_results.read_gate(finished.node, finished.outputs)
    parts = [summary.write_gates([gate]), summary.write_findings(gate)] if gate else []
    if finished.find_output("evaluation"):
        parts.append(summary.write_metrics(finished.node, _read_metrics(finished), finished.facts.metric))
    if finished.node == "ModelOptimizer":
        parts += _write_optimization(finished)
    if finished.find_output("pushed_model"):
        push = artifact_results.read_push(finished.outputs, finished.root / "serving" / finished.facts.model)
        parts.append(summary.write_push(push))
    return summary.join_parts(parts)


def _write_optimization(finished: FinishedNode) -> list[str]:
    """The variants, and the sentences by which one was chosen."""
    folder = _find_folder(finished, "report")
    decision = artifact_results.read_json(OPTIMIZATION_REPORT, folder).get("decision", {})
    reasons = [f"- {summary.escape_markdown(str(reason))}" for reason in decision.get("reasons", ())]
    return [summary.write_variants(artifact_results.read_variants(folder)), "\n".join(reasons)]


MAKERS: dict[str, Callable[[FinishedNode], str | metadata.Metadata]] = {
    METRICS: _make_metrics,
    CURVES: _make_curves,
    SUMMARY: _make_summary,
}
