"""`taxiway bench ...`: each command only passes on what was typed; the benchmarks are in `taxiway.pipeline.bench`."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Annotated, Any

import typer

from taxiway.components.errors import UsageError
from taxiway.pipeline.commands import options
from taxiway.pipeline.root import DEFAULT_ROOT

app = typer.Typer(
    help="Benchmarks that print ratios. They want a quiet machine.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _run_benchmark(name: str, **arguments: Any) -> int:
    """Runs `taxiway.pipeline.bench.<name>.main`; its return value, if any, is the exit code.

    Raises:
        UsageError: This installation lacks the benchmark.
    """
    module = f"taxiway.pipeline.bench.{name}"
    if importlib.util.find_spec(module) is None:
        raise UsageError(f"This installation has no benchmark {name!r}.", "Install Taxiway from its repository.")
    code = importlib.import_module(module).main(**arguments)
    return code if isinstance(code, int) else 0


@app.command("pipeline")
def pipeline(
    json: options.Json = False,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Runs of each side, interleaved.")] = 3,
    config: options.ConfigFile = None,
    overrides: options.Overrides = None,
    rows: Annotated[
        str, typer.Option("--rows", help="Instead: ours alone on so many flights, such as 15k,100k,337k,3M.")
    ] = "",
) -> int:
    """The whole pipeline against TFX's own taxi example, or (`--rows`) how its costs grow with the rows."""
    if rows:
        return _run_benchmark("growth", json=json, rows=rows, overrides=tuple(overrides or ()))
    return _run_benchmark("pipeline", json=json, runs=runs, config=config, overrides=tuple(overrides or ()))


@app.command("train")
def train(
    json: options.Json = False,
    study: Annotated[bool, typer.Option(help="Also train with several devices, workers and parameter servers.")] = True,
) -> int:
    """The training loop against model.fit and a bare loop: steps a second, ratio, loss after equal steps."""
    return _run_benchmark("train", json=json, study=study)


@app.command("quality")
def quality(
    json: options.Json = False,
    tables: Annotated[
        str,
        typer.Option(
            "--tables",
            help="Some of: adult, telescope, churn, lending, california, ames, loans, fifa, "
            "deliveries; all by default.",
        ),
    ] = "",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Of the splits and the models.")] = 3,
    cache: Annotated[
        Path, typer.Option("--cache", help="Keeps the packages that ship the tables (75 MB, downloaded by pip).")
    ] = Path("~/.cache/taxiway/bench-quality"),
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Keeps each result in this folder, and goes on from those that are there."),
    ] = None,
    former: Annotated[
        bool, typer.Option("--former", help="Also wide_and_deep, trained as where no kind is configured.")
    ] = False,
    overrides: options.Overrides = None,
) -> int:
    """The built-in model against boosted trees and a linear model on public tables (needs the extra `bench`)."""
    return _run_benchmark(
        "quality",
        json=json,
        tables=tables,
        seeds=seeds,
        cache=cache,
        results=results,
        former=former,
        overrides=tuple(overrides or ()),
    )


@app.command("input")
def input_(json: options.Json = False) -> int:
    """The input pipeline against record-by-record parsing: rows a second, ratio."""
    return _run_benchmark("input", json=json)


@app.command("ingest")
def ingest(json: options.Json = False) -> int:
    """TabularExampleGen against CsvExampleGen: rows a second, ratio, the same examples out."""
    return _run_benchmark("ingest", json=json)


@app.command("split")
def split(
    json: options.Json = False,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Of each table.")] = 3_000_000,
) -> int:
    """What it costs to tell equal rows apart, beside a hash of the content and the row's position."""
    return _run_benchmark("split", json=json, rows=rows)


@app.command("serve")
def serve(
    json: options.Json = False,
    root: options.Root = DEFAULT_ROOT,
    model: options.Model = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.5, help="Of each load.")] = 3.0,
    reload_seconds: Annotated[float, typer.Option("--reload-seconds", min=2, help="Of pushes under load.")] = 60.0,
) -> int:
    """The pushed variant against the trained model: latency, throughput, warm and cold, pushes under load."""
    return _run_benchmark("serve", json=json, root=root, model=model, seconds=seconds, reload_seconds=reload_seconds)


@app.command("lineage")
def lineage(
    json: options.Json = False,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Runs in the store; each has 19 artifacts.")] = 1000,
) -> int:
    """Lineage, runs and downstream on a store of many runs: seconds, against what they may take."""
    return _run_benchmark("lineage", json=json, runs=runs)
