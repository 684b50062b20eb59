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

from components.addresses import redact
from components.errors import TaxiwayError
from pipeline.commands import bench, doctor, history, init, kubeflow, lineage, optimize, running, serving

WrongUsage: Any = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")
"""What typer raises for wrong usage: click's class, or that of the copy of click that newer typers bring."""

EXIT_INTERRUPTED = 130
EXIT_FAILED = 1
EXIT_USAGE = 2

app = typer.Typer(
    name="taxiway",
    help="From raw rows to the runway: a table of data becomes a validated, optimized, measured model in a "
    "TensorFlow Serving directory.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done and live; 1 failed; 2 bad usage, configuration or data; 3 a gate blocked the push; "
    "130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (init, running, history, lineage, optimize, serving, kubeflow, doctor):
    module.register(app)
app.add_typer(bench.app, name="bench", rich_help_panel="Benchmarks")


def run_command(arguments: Sequence[str]) -> int:
    """Runs one command; wrong usage and exits become return values."""
    try:
        code = get_command(app).main(args=list(arguments), prog_name="taxiway", standalone_mode=False)
    except typer.Exit as exit_:
        return exit_.exit_code
    except WrongUsage as error:
        error.message = redact(error.message)
        error.show()
        return EXIT_USAGE
    return code if isinstance(code, int) else 0


def run(arguments: Sequence[str]) -> int:
    """Runs one command and says in plain words what went wrong.

    Returns:
        The exit code. A `TaxiwayError` becomes its message; anything else is a bug: one paragraph, and the traceback
        in a file that the paragraph names.
    """
    try:
        return run_command(arguments)
    except TaxiwayError as error:
        complain(str(error))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        complain("Interrupted.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `taxiway runs | head`: nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        complain(f"{_summary(error)}\nThis is a bug in Taxiway. The traceback is in {_keep_traceback()}.")
        return EXIT_FAILED


def complain(message: str) -> None:
    """One red paragraph on standard error."""
    from rich.text import Text

    from components.printable_text import visible_lines
    from pipeline import output

    text = Text("error: ", style="bold red").append(visible_lines(redact(message)), style="default")
    output.Console(stderr=True).print(text, soft_wrap=True)  # paths stay whole, to be copied


def _summary(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:500]}" if first else type(error).__name__


def _keep_traceback() -> Path:
    import tempfile

    descriptor, path = tempfile.mkstemp(prefix="taxiway-", suffix=".log")
    with open(descriptor, "w", encoding="utf-8") as out:
        out.write(redact(traceback.format_exc()))
    return Path(path)
