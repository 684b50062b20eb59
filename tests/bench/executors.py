"""StatisticsGen, Transform and the Evaluator against TFX's executors.

Called as `python -m tests.bench.executors CONFIG ROOT [rounds]`.

ROOT is the root of a run of CONFIG that came as far as the Evaluator, such as
`taxiway run data/flights_large/flights_large.yaml --root ROOT --to Evaluator`. Both sides work on its artifacts, in
turn, each in a fresh process; what is counted are the CPU seconds of the executor's `Do`, imports left out, and the
most memory that its process held, imports and all. A shared machine changes wall time far more than CPU time, and
even that by a tenth or two: trust ratios.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SIDES = ("ours", "tfx")


def main(config: str, root: str, rounds: int = 3) -> None:
    """Runs the rounds; prints by component seconds and memory of both sides, and the ratio of CPU seconds."""
    for node in PREPARED:
        seconds: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for number in range(rounds):
            for side in SIDES if number % 2 else reversed(SIDES):
                seconds[side].append(_measure_side(node, side, config, root))
        _print_figures(node, seconds)


def _measure_side(node: str, side: str, config: str, root: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.executors", "--child", node, side, config, root]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(process.stdout.splitlines()[-1])
    print(f"{node} {side}: {figures}", file=sys.stderr, flush=True)
    return figures


def _print_figures(node: str, seconds: dict[str, list[dict[str, float]]]) -> None:
    for side in SIDES:
        for kind in ("cpu", "wall"):
            values = [each[kind] for each in seconds[side]]
            print(f"{node} {side} {kind}: {np.median(values):.1f} s ({min(values):.1f} to {max(values):.1f})")
        print(f"{node} {side} peak: {np.median([each['peak_mib'] for each in seconds[side]]):,.0f} MiB")
    ratios = [tfx["cpu"] / ours["cpu"] for ours, tfx in zip(seconds["ours"], seconds["tfx"], strict=True)]
    print(f"{node}: {np.median(ratios):.1f} times less CPU ({min(ratios):.1f} to {max(ratios):.1f})")


def run_child(node: str, side: str, config: str, root: str) -> None:
    """One executor on the artifacts of the run, into a folder that is removed."""
    from taxiway.components.beam.beam_private import remember_signatures
    from taxiway.pipeline.config import load_config
    from taxiway.pipeline.user_modules import make_importable

    loaded = load_config(Path(config))
    make_importable(loaded)
    artifacts = Path(root, "artifacts")
    folder = tempfile.mkdtemp(prefix="taxiway-bench-")
    try:
        executor, *arguments = PREPARED[node](side, loaded, artifacts, Path(folder))
        if side == "ours":
            remember_signatures()  # as a run does
        wall, cpu = time.perf_counter(), time.process_time()
        executor.Do(*arguments)
        seconds = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        print(json.dumps({**seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
    finally:
        shutil.rmtree(folder)


def _make_context(folder: Path) -> Any:
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor

    from taxiway.components.beam.options import BEAM_OPTIONS, NOTHING_TO_STAGE

    options = [*BEAM_OPTIONS, NOTHING_TO_STAGE]
    return BaseBeamExecutor.Context(beam_pipeline_args=options, tmp_dir=str(folder / "tmp"), unique_id="1")


def _find_artifact(artifacts: Path, node: str, name: str, kind: Any, split_names: str = "") -> Any:
    """The newest output of a node."""
    artifact = kind()
    artifact.uri = str(max((artifacts / node / name).iterdir(), key=lambda path: int(path.name)))
    if split_names:
        artifact.split_names = split_names
    return artifact


def _make_artifact(folder: Path, kind: Any) -> Any:
    folder.mkdir()
    artifact = kind()
    artifact.uri = str(folder)
    return artifact


def _find_examples(artifacts: Path) -> Any:
    from tfx.types import standard_artifacts

    examples = _find_artifact(artifacts, "ExampleGen", "examples", standard_artifacts.Examples)
    splits = sorted(path.name.removeprefix("Split-") for path in Path(examples.uri).glob("Split-*"))
    examples.split_names = json.dumps(splits)
    return examples


def _prepare_statistics(side: str, config: Any, artifacts: Path, folder: Path) -> tuple[Any, ...]:
    from tfx.components.statistics_gen.executor import Executor as TfxExecutor
    from tfx.types import standard_artifacts
    from tfx.types import standard_component_specs as keys

    from taxiway.components.statistics.executor import Executor

    inputs = {keys.EXAMPLES_KEY: [_find_examples(artifacts)]}
    outputs = {keys.STATISTICS_KEY: [_make_artifact(folder / "statistics", standard_artifacts.ExampleStatistics)]}
    return (Executor if side == "ours" else TfxExecutor)(_make_context(folder)), inputs, outputs, {}


def _prepare_transform(side: str, config: Any, artifacts: Path, folder: Path) -> tuple[Any, ...]:
    from tfx.components.transform.executor import Executor as TfxExecutor
    from tfx.types import standard_artifacts
    from tfx.types import standard_component_specs as keys

    from taxiway.components.transform.executor import Executor

    settings = {
        "features": json.loads(config.features.model_dump_json()),
        "preprocessing": json.loads(config.preprocessing.resolve_numbers(config.model.kind).model_dump_json()),
        "label": config.label.column,
        "task": config.label.task,
        "built_in": True,
        "schema_categorical": [],
    }
    schema = _find_artifact(artifacts, "SchemaGen", "schema", standard_artifacts.Schema)
    inputs = {keys.EXAMPLES_KEY: [_find_examples(artifacts)], keys.SCHEMA_KEY: [schema]}
    outputs = {
        keys.TRANSFORM_GRAPH_KEY: [_make_artifact(folder / "graph", standard_artifacts.TransformGraph)],
        keys.TRANSFORMED_EXAMPLES_KEY: [_make_artifact(folder / "rows", standard_artifacts.Examples)],
    }
    properties = {
        keys.PREPROCESSING_FN_KEY: config.preprocessing.function,
        keys.CUSTOM_CONFIG_KEY: json.dumps(settings),
        keys.DISABLE_STATISTICS_KEY: 1,
    }
    return (Executor if side == "ours" else TfxExecutor)(_make_context(folder)), inputs, outputs, properties


def _prepare_evaluator(side: str, config: Any, artifacts: Path, folder: Path) -> tuple[Any, ...]:
    from google.protobuf import json_format
    from tfx.components.evaluator.executor import Executor as TfxExecutor
    from tfx.types import standard_artifacts
    from tfx.types import standard_component_specs as keys

    from taxiway.components.evaluation.eval_config import build_eval_config
    from taxiway.components.evaluation.executor import Executor

    label = config.label
    eval_config = build_eval_config(config.evaluation, label.column, label.task, label.classes, 1)
    inputs = {
        keys.EXAMPLES_KEY: [_find_examples(artifacts)],
        keys.MODEL_KEY: [_find_artifact(artifacts, "Trainer", "model", standard_artifacts.Model)],
        keys.BASELINE_MODEL_KEY: [_find_artifact(artifacts, "Baseline", "model", standard_artifacts.Model)],
    }
    outputs = {
        keys.EVALUATION_KEY: [_make_artifact(folder / "evaluation", standard_artifacts.ModelEvaluation)],
        keys.BLESSING_KEY: [_make_artifact(folder / "blessing", standard_artifacts.ModelBlessing)],
    }
    properties = {
        keys.EVAL_CONFIG_KEY: json_format.MessageToJson(eval_config, preserving_proto_field_name=True),
        keys.EXAMPLE_SPLITS_KEY: json.dumps(["test" if "test" in inputs[keys.EXAMPLES_KEY][0].split_names else "eval"]),
    }
    return (Executor if side == "ours" else TfxExecutor)(_make_context(folder)), inputs, outputs, properties


PREPARED = {"StatisticsGen": _prepare_statistics, "Transform": _prepare_transform, "Evaluator": _prepare_evaluator}
"""Component to what makes an executor with its arguments."""

if __name__ == "__main__":
    if sys.argv[1] == "--child":
        run_child(*sys.argv[2:])
    else:
        main(sys.argv[1], sys.argv[2], *(int(word) for word in sys.argv[3:]))
