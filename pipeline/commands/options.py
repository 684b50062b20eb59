"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[
    Path,
    typer.Option("--root", help="Folder that holds everything a run writes.", show_default="./taxiway-root"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="The model's name.", show_default="the only one under the root, else taxi"),
]
ConfigFile = Annotated[
    Path | None,
    typer.Argument(help="The YAML configuration.", show_default="the taxi example", metavar="CONFIG"),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one key, such as training.epochs=3. May be given again.", metavar="A.B=VALUE"),
]
Namespace = Annotated[str, typer.Option("--namespace", help="In installations of Kubeflow with several users.")]
