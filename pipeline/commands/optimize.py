"""`taxiway optimize`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from taxiway.pipeline.commands import options
from taxiway.pipeline.commands.kubeflow import silence_imports

_DEFAULT_OUT = Path("optimized")
_REPRODUCED_OUT = Path("reproduced")
_ROWS = "Rows"
_QUALITY = "Quality"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("optimize", rich_help_panel="The model that is served")(optimize)


def optimize(
    model: Annotated[
        str,
        typer.Argument(
            help="A SavedModel's folder. With --reproduce: a variant of that report.", metavar="SAVED_MODEL"
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A folder that does not exist or is empty.", show_default="optimized"),
    ] = None,
    signature: Annotated[
        str,
        typer.Option("--signature", help="The signature that is served.", show_default="serving_default, or the only"),
    ] = "",
    data: Annotated[
        str, typer.Option("--data", help="Rows: csv, Parquet, JSON lines, or .npz by input.", rich_help_panel=_ROWS)
    ] = "",
    examples: Annotated[
        str, typer.Option("--examples", help="Rows: TFRecords of tf.Example.", rich_help_panel=_ROWS)
    ] = "",
    requests: Annotated[
        str,
        typer.Option(
            "--requests", help="Rows: PredictionLogs as warm-up has them, or JSON bodies.", rich_help_panel=_ROWS
        ),
    ] = "",
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows",
            min=100,
            help="Most rows to judge by.",
            show_default="1000; more where the limit needs them",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option("--shape", help="Of one row of an input: image=28,28,1. Repeatable.", rich_help_panel=_ROWS),
    ] = None,
    label: Annotated[
        str, typer.Option("--label", help="The column with class or value.", rich_help_panel=_QUALITY)
    ] = "",
    metric: Annotated[
        str, typer.Option("--metric", help="Metric to keep, such as auc or rmse.", rich_help_panel=_QUALITY)
    ] = "",
    output: Annotated[
        str, typer.Option("--output-name", help="The output that the metric judges.", rich_help_panel=_QUALITY)
    ] = "",
    max_drop: Annotated[
        float | None,
        typer.Option(
            "--max-drop",
            min=0,
            help="Most that the metric, or the agreement with the original, may lose.",
            show_default="0.002; 0.01 without labels",
            rich_help_panel=_QUALITY,
        ),
    ] = None,
    runtime: Annotated[
        str, typer.Option("--runtime", help="tf_serving, tflite, onnx, triton or tensorrt.")
    ] = "tf_serving",
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", help="A technique or a chain of them. Repeatable.", show_default="the runtime's"),
    ] = None,
    objective: Annotated[str, typer.Option("--objective", help="latency, throughput or size.")] = "latency",
    batch: Annotated[
        list[int] | None, typer.Option("--batch", min=1, help="Rows a call. Repeatable.", show_default="1 and 32")
    ] = None,
    xla: Annotated[bool, typer.Option("--xla", help="The server compiles with XLA.")] = False,
    budget: Annotated[float, typer.Option("--budget", min=1, help="Seconds for making and measuring.")] = 180.0,
    memory: Annotated[
        float | None,
        typer.Option("--memory", min=1, help="Most MB of all its processes together.", show_default="80 % of free"),
    ] = None,
    allow_op: Annotated[
        list[str] | None,
        typer.Option("--allow-op", help="A TensorFlow op of your own layers that the model may hold. Repeatable."),
    ] = None,
    push: Annotated[Path | None, typer.Option("--push", help="Serving directory to push the chosen model to.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Push even what is live already or was rolled back.")] = False,
    name: Annotated[str, typer.Option("--name", help="The model's name.", show_default="its folder's")] = "",
    reproduce: Annotated[
        Path | None,
        typer.Option("--reproduce", help="An optimizer's report, its file or folder: one variant is made again."),
    ] = None,
    json: options.Json = False,
) -> int:
    """Makes variants of any SavedModel, measures them and hands on the best that keeps the quality.

    Without labels a variant is judged by its agreement with the original; without rows on random ones.
    """
    silence_imports()  # this process only reads protos; the child that runs the model has a log
    if reproduce is not None:
        return _reproduce_variant(reproduce, model, out or _REPRODUCED_OUT, tuple(allow_op or ()))
    from taxiway.pipeline.optimization.request import OptimizeRequest, check_words, parse_shapes

    check_words(runtime, objective)
    request = OptimizeRequest(
        model=Path(model),
        out=out or _DEFAULT_OUT,
        signature=signature,
        data=data,
        examples=examples,
        requests=requests,
        label=label,
        metric=metric,
        output=output,
        max_drop=max_drop,
        runtime=runtime,  # type: ignore[arg-type]
        variants=tuple(variant or ()),
        objective=objective,  # type: ignore[arg-type]
        batch_sizes=tuple(batch or (1, 32)),
        rows=rows,
        budget_seconds=budget,
        memory_mb=memory,
        shapes=parse_shapes(tuple(shape or ())),
        allowed_ops=tuple(allow_op or ()),
        xla=xla,
        name=name,
    )
    return _optimize_model(request, push, force, json)


def _optimize_model(request: Any, push: Path | None, force: bool, json: bool) -> int:
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.optimization.result_text import build_json, print_result
    from taxiway.pipeline.optimization.run import optimize_saved_model

    ask = _ask_signature if sys.stdin.isatty() and sys.stderr.isatty() and not json else None
    console = printing.make_console(stderr=True)
    console.print(f"optimizing {printing.escape_markup(request.model)}: at most {request.budget_seconds:g} s")
    try:
        result = optimize_saved_model(request, ask, push, force=force)
    except KeyboardInterrupt as interruption:  # typer would end without a word
        raise typer.Abort from interruption
    if json:
        printing.print_json(build_json(result))
    else:
        print_result(result)
    return result.exit_code


def _ask_signature(names: list[str]) -> str:
    answer: str = typer.prompt(f"Which signature is served ({', '.join(names)})?", default=names[0], err=True)
    return answer


def _reproduce_variant(report: Path, variant: str, out: Path, allowed: tuple[str, ...]) -> int:
    """Makes one variant of an optimizer's report again, and says what differs from the first time."""
    from taxiway.pipeline.console import printing
    from taxiway.pipeline.optimization.reproduction import reproduce_checked

    console = printing.make_console()
    with console.status(f"making {printing.escape_markup(variant)} again"):
        reproduction = reproduce_checked(report, variant, out, allowed)
    console.print(f"{variant} is in {reproduction.folder}", soft_wrap=True, markup=False)
    for difference in reproduction.differences:
        console.print(f"  {difference}", soft_wrap=True, markup=False)
    return 0
