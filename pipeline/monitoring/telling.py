"""Tells a verdict that is kept already: the page, the gauges, the webhook. What fails there takes no verdict away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxiway.components.errors import TaxiwayError
from taxiway.pipeline.exit_codes import EXIT_BLOCKED, EXIT_FAILED, EXIT_LIVE, EXIT_UNJUDGED
from taxiway.pipeline.monitoring import gauges, webhook
from taxiway.pipeline.monitoring.monitor import MonitorResult
from taxiway.pipeline.root import Root

CODES_BY_STATUS = {"right": EXIT_LIVE, "wrong": EXIT_BLOCKED, "too_few_rows": EXIT_UNJUDGED}
TOLD, NOT_ASKED, LEFT_OUT = "told", "none", "not told: all is right (--only-wrong)"


@dataclass(frozen=True)
class Told:
    """Who knows of a verdict.

    Attributes:
        place: The page, or the verdict's folder.
        webhook: `told`, `none`, or why it was not told.
        failures: Sentences about what failed, the webhook among it.
    """

    place: Path
    webhook: str = NOT_ASKED
    failures: tuple[str, ...] = ()

    def choose_exit_code(self, status: str) -> int:
        """The verdict's; of a right one of which somebody was to be told and was not: failed."""
        code = CODES_BY_STATUS[status]
        return EXIT_FAILED if self.failures and code == EXIT_LIVE else code

    def to_json(self) -> dict[str, Any]:
        return {"place": str(self.place), "webhook": self.webhook, "failures": list(self.failures)}


def tell_verdict(
    result: MonitorResult,
    root: Root,
    *,
    page: bool = True,
    metrics_file: Path | None = None,
    url: str = "",
    only_wrong: bool = False,
) -> Told:
    """Writes the page and the gauges, and posts to the webhook.

    Args:
        result: The verdict.
        root: The root.
        page: Whether to write the page.
        metrics_file: File for node_exporter's collector; None: none.
        url: Address of the webhook; empty: none.
        only_wrong: Whether the webhook is not told where all is right.
    """
    failures, place, hook = list[str](), result.folder, NOT_ASKED
    if page:
        from taxiway.pipeline.monitoring.page import write_verdict_page

        written = _try(lambda: write_verdict_page(result.folder, result.verdict, root), "The page", failures)
        place = written or place
    if metrics_file is not None:
        _try(lambda: gauges.write_text_file(metrics_file, result.verdict), "The metrics file", failures)
    if url and only_wrong and result.verdict.status == "right":
        hook = LEFT_OUT
    elif url:
        trouble = _send(url, result)
        hook = trouble or TOLD
        failures += [trouble] if trouble else []
    return Told(place, hook, tuple(failures))


def _send(url: str, result: MonitorResult) -> str:
    try:
        return webhook.send_verdict(url, result.verdict)
    except KeyboardInterrupt:  # whoever does not want to wait for it still sees the verdict
        return "The webhook was not told: interrupted."


def _try(write: Callable[[], Path | None], what: str, failures: list[str]) -> Path | None:
    try:
        return write()
    except (TaxiwayError, OSError) as error:
        failures.append(f"{what} was not written: {error}")
        return None
