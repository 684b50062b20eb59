"""TFX's own taxi example, as the wheel ships it, run once in this process with the in-process local runner.

`taxi_pipeline_native_keras.py` is the one of its two pipelines that TFX 1.16 can run: the other is for Estimators.
What is changed: the folders, the number of training steps, one Beam process instead of one a core (as shipped the
workers import TensorFlow again and cost 3-5 times the CPU), and its module file is imported instead of being packaged
by pip, which a uv environment does not have. All of it makes the example faster, none slower.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from taxiway.components.processes import subprocesses

BATCH_SIZE = 40
"""Written into the example's `run_fn`."""

EXAMPLE = Path("examples", "chicago_taxi_pipeline")
MODULE_FILE = EXAMPLE / "taxi_utils_native_keras.py"
DATA = EXAMPLE / "data" / "simple"


def run_example(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the example.

    Args:
        job: `root` (an empty folder), `data` (a folder with `train/` and `eval/` of csv; empty: the wheel's data,
            which is then split by hash), `train_rows` (training rows to be seen, in whole batches of `BATCH_SIZE`).

    Returns:
        `seconds` by node id, `run_seconds` without the imports, `train_rows` seen, `model` and `examples` paths.
    """
    os.environ["UNSUPPORTED_DO_NOT_PACKAGE_USER_MODULES"] = "1"  # there is no pip in a uv environment
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    root, steps = Path(job["root"]), max(1, round(job["train_rows"] / BATCH_SIZE))
    pipeline = _build_example(root, job.get("data", ""), steps)
    seconds = _time_launches()
    started = time.monotonic()
    LocalDagRunner().run(pipeline)
    return {
        "seconds": seconds,
        "run_seconds": time.monotonic() - started,
        "train_rows": steps * BATCH_SIZE,
        "model": str(_find_newest(root / "artifacts" / "Trainer" / "model") / "Format-Serving"),
        "examples": str(_find_newest(root / "artifacts" / "CsvExampleGen" / "examples") / "Split-eval"),
    }


def _build_example(root: Path, data: str, steps: int) -> Any:
    import tfx
    from tfx.examples.chicago_taxi_pipeline import taxi_pipeline_native_keras as example

    wheel = Path(tfx.__file__).parent
    pipeline = example._create_pipeline(
        pipeline_name="chicago_taxi_native_keras",
        pipeline_root=str(root / "artifacts"),
        data_root=data or str(wheel / DATA),
        module_file=str(wheel / MODULE_FILE),
        serving_model_dir=str(root / "serving"),
        metadata_path=str(root / "metadata.db"),
        beam_pipeline_args=[],
    )
    nodes = {node.id: node for node in pipeline.components}
    nodes["Trainer"].spec.exec_properties["train_args"] = json.dumps({"num_steps": steps})
    if data:
        splits = [{"name": name, "pattern": f"{name}/*"} for name in ("train", "eval")]
        nodes["CsvExampleGen"].spec.exec_properties["input_config"] = json.dumps({"splits": splits})
        nodes["CsvExampleGen"].spec.exec_properties["output_config"] = "{}"
    return pipeline


def _time_launches() -> dict[str, float]:
    """Wall seconds of each node, filled in while the pipeline runs."""
    from tfx.orchestration.portable import launcher

    seconds: dict[str, float] = {}
    launch = launcher.Launcher.launch

    def timed_launch(self: Any) -> Any:
        started = time.monotonic()
        try:
            return launch(self)
        finally:
            seconds[self._pipeline_node.node_info.id] = time.monotonic() - started

    launcher.Launcher.launch = timed_launch
    return seconds


def _find_newest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda path: int(path.name))


if __name__ == "__main__":
    subprocesses.run_child_main(run_example)
