"""What is asked of `taxiway optimize`, checked before anything of the model runs, and the job made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from taxiway.components.contract import Task, serving_model_dir
from taxiway.components.errors import UsageError
from taxiway.components.metrics.quality_change import check_metric
from taxiway.components.metrics.rate_intervals import count_rows_for_share
from taxiway.components.optimizer.config import Constraints, MeasuringConfig, Objective, OptimizationConfig
from taxiway.components.optimizer.decision import SHARES
from taxiway.components.optimizer.given_model import signatures
from taxiway.components.optimizer.given_model.request_rows import has_warmup
from taxiway.components.optimizer.given_model.signatures import SignatureSpec
from taxiway.components.optimizer.job import GivenModel, OptimizerJob, RowOrigin
from taxiway.components.optimizer.measurement.agreement import DISAGREEMENT
from taxiway.components.optimizer.measurement.given_scores import choose_score_output
from taxiway.components.optimizer.techniques import Hardware, Runtime
from taxiway.components.processes import memory_limits

RuntimeName = Literal["tf_serving", "tflite", "onnx", "triton", "tensorrt"]
_TUNED = ("magnitude_pruned",)
_ENGINES = ("tensorrt_engine_fp32", "tensorrt_engine_fp16", "tensorrt_engine_int8")


@dataclass(frozen=True)
class RuntimeChoice:
    """What a runtime's name stands for.

    Attributes:
        runtime: The runtime of the optimizer's configuration.
        hardware: The hardware that its variants need.
        variants: The variants that are made for it.
    """

    runtime: Runtime
    hardware: Hardware
    variants: tuple[str, ...]


RUNTIMES: dict[RuntimeName, RuntimeChoice] = {
    "tf_serving": RuntimeChoice(
        "tf_serving",
        "cpu",
        ("frozen", "lean_inputs", "float16", "int8_weights", "int8_dynamic", "int8_static", *_TUNED),
    ),
    "tflite": RuntimeChoice(
        "tf_serving_tflite", "cpu", ("tflite_float32", "tflite_float16", "tflite_dynamic", "tflite_int8", *_TUNED)
    ),
    "onnx": RuntimeChoice("triton", "cpu", ("onnx", *_TUNED)),
    "triton": RuntimeChoice("triton", "gpu", ("onnx", *_ENGINES, *_TUNED)),
    "tensorrt": RuntimeChoice("triton", "gpu", (*_ENGINES, "sparsity_2_4")),
}
_TASKS: dict[str, Task] = {
    "auc": "binary",
    "pr_auc": "binary",
    "mae": "regression",
    "mse": "regression",
    "rmse": "regression",
}
_ROWS, _MOST_ROWS, _ROOM = 1000, 20_000, 1.5
_LARGE_BYTES = 100e6
_LARGE_MEASURING_SHARE = 1 / 16
"""Of the budget, for one model; a search keeps four such shares."""
LOG_FILE = "optimizer.log"
"""All that an optimizer that failed leaves in the folder of the results, and the next one may overwrite."""
_KERAS_FILES = frozenset({".keras", ".h5", ".hdf5"})
_FREE_SHARE = 0.8
_DEFAULT_DROP = {DISAGREEMENT: 0.01}
_DEFAULT_METRIC_DROP = 0.002


@dataclass(frozen=True)
class OptimizeRequest:
    """What is asked.

    Attributes:
        model: Folder of the SavedModel.
        out: Folder of the results, which does not exist or is empty.
        signature: Signature; empty: the only one, or `serving_default`.
        data, examples, requests: Where the rows are; at most one.
        label: Column or feature with the labels; empty: none.
        metric: Metric to keep; empty: by the output.
        output: Output that the metric judges; empty: the only one that fits.
        max_drop: How much quality may be lost; None: the default.
        runtime: Runtime that the model is made for.
        variants: Variants to make; empty: those of the runtime.
        objective: What is to be better.
        batch_sizes: Rows a call that are timed.
        rows: Most rows to judge by; None: 1000, or more where the limit needs more to be proved.
        budget_seconds: Wall time of the optimizer.
        memory_mb: Most memory of all processes that load the model together; None: most of what is free.
        shapes: Shape of a row by input.
        allowed_ops: Ops that the model may hold beside the list.
        xla: Whether the server compiles.
        name: Name of the model; empty: of its folder.
    """

    model: Path
    out: Path
    signature: str = ""
    data: str = ""
    examples: str = ""
    requests: str = ""
    label: str = ""
    metric: str = ""
    output: str = ""
    max_drop: float | None = None
    runtime: RuntimeName = "tf_serving"
    variants: tuple[str, ...] = ()
    objective: Objective = "latency"
    batch_sizes: tuple[int, ...] = (1, 32)
    rows: int | None = None
    budget_seconds: float = 180.0
    memory_mb: float | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    allowed_ops: tuple[str, ...] = ()
    xla: bool = False
    name: str = ""


def check_words(runtime: str, objective: str) -> None:
    """Raises `UsageError` for a runtime or an objective that there is not."""
    for option, word, known in (("runtime", runtime, RUNTIMES), ("objective", objective, get_args(Objective))):
        if word not in known:
            accepted = f"Accepted: {', '.join(sorted(known))}."
            raise UsageError(f"--{option} {word!r} is not known.", accepted)


def parse_shapes(texts: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes of rows from `NAME=28,28,1`.

    Raises:
        UsageError: a text is not of that form.
    """
    shapes = {}
    for text in texts:
        name, _, dims = text.partition("=")
        parts = [part.strip() for part in dims.split(",") if part.strip()]
        if not name or not all(part.isdigit() and int(part) for part in parts):
            raise UsageError(f"--shape {text!r} is no shape.", "Write NAME=28,28,1: the shape of one row.")
        shapes[name] = tuple(map(int, parts))
    return shapes


def find_signature(request: OptimizeRequest, ask: Callable[[list[str]], str] | None) -> SignatureSpec:
    """The signature that is asked for.

    Args:
        request: The request.
        ask: Function that asks the user which of several; None where nobody can be asked.

    Raises:
        UsageError: it is not there, cannot be optimized, or nothing says which one is meant.
    """
    known = signatures.read_signatures(request.model)
    chosen = signatures.choose_signature(known, request.signature)
    if chosen is None and ask is not None:
        chosen = signatures.choose_signature(known, ask(sorted(known)))
    if chosen is None:
        raise UsageError(
            f"The model has the signatures {', '.join(sorted(known))}, and none is called serving_default.",
            "Name the one that is served: --signature NAME.",
        )
    return chosen


def check_request(request: OptimizeRequest) -> None:
    """Raises `UsageError` where options do not go together or a file is not there."""
    _check_model_folder(request.model)
    given = {name: getattr(request, name) for name in ("data", "examples", "requests") if getattr(request, name)}
    if len(given) > 1:
        raise UsageError(f"Rows come from one place, and {' and '.join(f'--{n}' for n in given)} name two.")
    for name, path in given.items():
        if "://" not in path and not any(c in path for c in "*?[") and not Path(path).exists():
            raise UsageError(f"--{name} {path}: there is no such file or folder.")
    if request.label and not (request.data or request.examples):
        raise UsageError("--label names a column, and no rows were given.", "Give them with --data or --examples.")
    if request.metric and not request.label:
        raise UsageError("--metric needs labels.", "Name their column: --label COLUMN.")
    if request.metric:
        check_metric(request.metric)
    _check_out_folder(request.out)
    check_outside(request.model, request.out, "-o")


def _check_out_folder(out: Path) -> None:
    """Raises `UsageError` where the results cannot be written: something is there, or nothing can be made there."""
    if out.is_file():
        raise UsageError(f"-o {out} is a file.", "Name a folder with -o.")
    if out.exists() and (not out.is_dir() or any(each.name != LOG_FILE for each in out.iterdir())):
        raise UsageError(f"{out} is there already and not empty.", "Name another folder with -o.")
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise UsageError(f"-o {out}: {existing} is a file.", "Name another folder with -o.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"-o {out}: {existing} cannot be written.", "Name another folder with -o.")


def _check_model_folder(model: Path) -> None:
    """Raises `UsageError` unless the folder holds a SavedModel, and says how one is made of what it is."""
    if (model / "saved_model.pb").is_file():
        return
    remedy = "Give the folder of a TensorFlow SavedModel, which has a saved_model.pb."
    if not model.exists():
        raise UsageError(f"{model}: there is no such folder.", remedy)
    keras = [model] if model.is_file() else sorted(model.glob("*"))
    keras = [path for path in keras if path.suffix in _KERAS_FILES]
    if keras:
        loaded = f"keras.models.load_model({str(keras[0])!r})"
        remedy = f"{keras[0].name} is a file of Keras: {loaded}.export('exported') makes a SavedModel of it."
    below = [path.parent for path in model.glob("*/saved_model.pb")]
    if below:
        remedy = f"It has one below: give {max(below, key=_rank_version)}."
    raise UsageError(f"{model} holds no saved_model.pb.", remedy)


def _rank_version(folder: Path) -> tuple[int, str]:
    """Sorts versions of a serving directory as numbers (10 is after 9), and other names by text before them."""
    return int(folder.name) if folder.name.isdecimal() else -1, folder.name


def check_outside(model: Path, folder: Path, option: str) -> None:
    """Raises `UsageError` for a folder inside of the model's: the model would hold it, and no server takes it then."""
    if folder.resolve().is_relative_to(model.resolve()):
        raise UsageError(
            f"{option} {folder} lies inside of the model {model}.",
            "Name a folder elsewhere: a SavedModel holds nothing but its own files.",
        )


def build_job(request: OptimizeRequest, signature: SignatureSpec) -> OptimizerJob:
    """The optimizer's job; its folders lie below the request's.

    Raises:
        ConfigError: values do not go together.
        UsageError: no output of the signature can be judged by the metric.
    """
    out = request.out.resolve()  # the report is read again, from any folder
    report = out / "report"
    task, metric, output = _choose_judgement(request, signature)
    return OptimizerJob(
        model=str(report / "original"),
        transform_graph="",
        transformed_examples="",
        examples="",
        schema_uri="",
        task=task,
        label=request.label,
        metric=metric,
        config=_build_config(request, signature, metric),
        chosen_uri=str(out / "chosen"),
        report_uri=str(report),
        exports_uri=str(out / "variants"),
        given=_build_given_model(request, signature, output),
    )


def _choose_judgement(request: OptimizeRequest, signature: SignatureSpec) -> tuple[Task, str, str]:
    """Task, metric and output to judge by; without labels the task is of no account."""
    if not request.label:
        return "regression", DISAGREEMENT, ""
    outputs = {name: (spec.dtype, spec.shape) for name, spec in signature.outputs.items()}
    task = _TASKS.get(request.metric)
    if task is None:
        name = choose_score_output("multiclass", outputs, request.output) if request.output else ""
        task = _guess_task(request, outputs, name)
    output = choose_score_output(task, outputs, request.output)
    return task, request.metric or ("auc" if task == "binary" else "accuracy"), output


def _guess_task(
    request: OptimizeRequest, outputs: Mapping[str, tuple[str, signatures.Shape | None]], wanted: str
) -> Task:
    """Binary or several classes, by the width of the output; without a metric that says it is no regression."""
    shapes = (
        [outputs[wanted][1]] if wanted else [shape for dtype, shape in outputs.values() if dtype in signatures.FLOATS]
    )
    widths = {1 if len(shape) == 1 else shape[-1] for shape in shapes if shape and len(shape) <= 2}
    if len(widths) != 1 or None in widths:
        raise UsageError(
            "The signature does not tell how many classes its outputs have.",
            "Name the output and the metric: --output-name NAME --metric auc, accuracy, log_loss, mae, mse or rmse.",
        )
    width = widths.pop() or 1
    if width == 1 and not request.metric:
        raise UsageError(
            "One number a row may be the score of a class or a value.", "Say which: --metric auc, or --metric rmse."
        )
    return "multiclass" if width > 2 else "binary"


def _build_given_model(request: OptimizeRequest, signature: SignatureSpec, output: str) -> GivenModel:
    origin, path = _find_origin(request)
    unknown = sorted(set(request.shapes) - set(signature.inputs))
    if unknown:
        raise UsageError(
            f"--shape names the input {unknown[0]!r}, which the signature does not have.",
            f"Its inputs: {'; '.join(map(str, signature.inputs.values()))}.",
        )
    free = memory_limits.read_available_bytes() * _FREE_SHARE / 1e6
    return GivenModel(
        name=request.name or request.model.resolve().name,
        signature=signature.name,
        source=origin,
        path=path,
        shapes=dict(request.shapes),
        output=output,
        fixed_rows=signature.fixed_rows,
        memory_mb=request.memory_mb or free,
        allowed_ops=request.allowed_ops,
    )


def _find_origin(request: OptimizeRequest) -> tuple[RowOrigin, str]:
    given: tuple[tuple[RowOrigin, str], ...] = (
        ("data", request.data),
        ("examples", request.examples),
        ("requests", request.requests),
    )
    named = next((each for each in given if each[1]), None)
    if named:
        origin, path = named
        return origin, path if "://" in path else str(Path(path).absolute())
    return ("warmup", "") if has_warmup(request.model) else ("random", "")


def _build_config(request: OptimizeRequest, signature: SignatureSpec, metric: str) -> OptimizationConfig:
    choice = RUNTIMES[request.runtime]
    drop = request.max_drop if request.max_drop is not None else _DEFAULT_DROP.get(metric, _DEFAULT_METRIC_DROP)
    sizes = (signature.fixed_rows,) if signature.fixed_rows else request.batch_sizes
    variants = request.variants or choice.variants
    if request.xla and not request.variants:
        variants = (*variants, "xla")
    # A large model takes a second a call: fewer calls tell as much; and two of them at once take too much memory.
    is_large = _count_bytes(request.model / "variables") > _LARGE_BYTES
    return OptimizationConfig(
        objective=request.objective,
        constraints=Constraints(max_quality_drop=drop, eval_share=1.0, min_quality_rows=0),
        batch_sizes=sizes,
        variants=variants,
        combine=not is_large,
        workers=1 if is_large else 0,
        budget_seconds=request.budget_seconds,
        quality_rows=max(request.rows or _choose_row_count(metric, drop), 100),
        runtime=choice.runtime,
        hardware=choice.hardware,
        xla=request.xla,
        keep_reference=request.runtime == "tf_serving",
        exports=choice.variants if choice.hardware == "gpu" else (),
        measuring=_plan_large_measurement(request.budget_seconds) if is_large else MeasuringConfig(),
    )


def _plan_large_measurement(budget_seconds: float) -> MeasuringConfig:
    """Few calls, for which the search keeps as much of the budget as it keeps at most."""
    return MeasuringConfig(
        warmup_calls=3, rounds=20, calls=2, seconds=max(_LARGE_MEASURING_SHARE * budget_seconds, 2.0)
    )


def _choose_row_count(metric: str, drop: float) -> int:
    """Enough rows to prove that a variant which decides a few of them otherwise keeps the limit."""
    needed = _ROOM * count_rows_for_share(drop) if metric in SHARES and drop > 0 else 0
    return int(min(max(_ROWS, needed), _MOST_ROWS))


def _count_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*")) if folder.is_dir() else 0


def link_original(request: OptimizeRequest, job: OptimizerJob) -> None:
    """Lets the job's model be the SavedModel, where it lies."""
    servable = Path(serving_model_dir(job.model))
    servable.parent.mkdir(parents=True)
    servable.symlink_to(request.model.resolve(), target_is_directory=True)
