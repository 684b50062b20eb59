"""The command line. Importing it loads neither TFX nor TensorFlow: each command imports what it needs when it runs."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from taxiway.components.errors import TaxiwayError
from taxiway.components.redaction import redact_secrets
from taxiway.pipeline.commands import (
    bench,
    doctor,
    history,
    init,
    kubeflow,
    lineage,
    monitor,
    optimize,
    serving,
    tune,
    ui,
    watch,
)
from taxiway.pipeline.commands.run import register as register_run
from taxiway.pipeline.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_LIVE, EXIT_USAGE

WrongUsage: Any = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")
"""What typer raises for wrong usage: click's class, or that of the copy of click that newer typers bring."""

app = typer.Typer(
    name="taxiway",
    help="From raw rows to the runway: a table of data becomes a validated, optimized, measured model in a "
    "TensorFlow Serving directory.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done and live; 1 failed; 2 bad usage, configuration or data; 3 a gate blocked the push, or "
    "requests are not as in training; 4 lost sight of a run on Kubeflow; 5 too few requests to judge; 75 a member of a "
    "cluster was lost, start again; 130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for register in (
    init.register,
    register_run,
    tune.register,
    watch.register,
    history.register,
    lineage.register,
    ui.register,
    optimize.register,
    serving.register,
    monitor.register,
    kubeflow.register,
    doctor.register,
):
    register(app)
app.add_typer(bench.app, name="bench", rich_help_panel="Benchmarks")


def run_command(arguments: Sequence[str]) -> int:
    """Runs one command; wrong usage and exits become return values."""
    try:
        code = get_command(app).main(args=list(arguments), prog_name="taxiway", standalone_mode=False)
    except typer.Exit as exit_:
        return exit_.exit_code
    except WrongUsage as error:
        error.message = redact_secrets(error.message)
        error.show()
        return EXIT_USAGE
    return code if isinstance(code, int) else EXIT_LIVE


def run(arguments: Sequence[str]) -> int:
    """Runs one command and says in plain words what went wrong.

    Returns:
        The exit code. A `TaxiwayError` becomes its message; anything else is a bug: one paragraph, and the traceback
        in a file that the paragraph names.
    """
    try:
        return run_command(arguments)
    except TaxiwayError as error:
        print_error(str(error))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort) as interruption:
        print_error("Interrupted.")
        return getattr(interruption, "exit_code", EXIT_INTERRUPTED)  # `RunInterrupted` knows which signal it was
    except BrokenPipeError:  # `taxiway runs | head`: the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_LIVE
    except Exception as error:
        print_error(f"{_summarize_error(error)}\nThis is a bug in Taxiway. The traceback is in {_save_traceback()}.")
        return EXIT_FAILED


def print_error(message: str) -> None:
    """One red paragraph on standard error."""
    from rich.text import Text

    from taxiway.components.text.printable import escape_multiline
    from taxiway.pipeline.console import printing

    text = Text("error: ", style="bold red").append(escape_multiline(redact_secrets(message)), style="default")
    printing.SafeConsole(stderr=True).print(text, soft_wrap=True)  # paths stay whole, to be copied


def _summarize_error(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:500]}" if first else type(error).__name__


def _save_traceback() -> Path:
    import tempfile

    descriptor, path = tempfile.mkstemp(prefix="taxiway-", suffix=".log")
    with open(descriptor, "w", encoding="utf-8") as out:
        out.write(redact_secrets(traceback.format_exc()))
    return Path(path)
