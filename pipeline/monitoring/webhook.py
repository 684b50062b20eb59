"""Tells a verdict to an address: JSON that Slack takes, signed. What goes wrong is said, and never fails a verdict."""

from __future__ import annotations

import hashlib
import hmac
import html
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from taxiway.components.errors import UsageError
from taxiway.components.redaction import redact_secrets
from taxiway.pipeline.monitoring.verdicts import ServingVerdict

SECRET_VARIABLE = "TAXIWAY_WEBHOOK_SECRET"
SIGNATURE_HEADER, TIME_HEADER = "X-Taxiway-Signature", "X-Taxiway-Timestamp"
TRIES, TIMEOUT_SECONDS, FIRST_WAIT_SECONDS = 4, 10.0, 1.0
MOST_FINDINGS = 20


def check_address(url: str) -> None:
    """Raises `UsageError`, which does not repeat it, where it is no address of a web server."""
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError("--webhook is no address of a web server.", "Give an https:// address, without blanks.")


def send_verdict(url: str, verdict: ServingVerdict, *, sleep: Callable[[float], None] = time.sleep) -> str:
    """Posts a verdict, and again after 1, 2 and 4 seconds where the server has a trouble of its own.

    Args:
        url: Address; it may hold a secret, as Slack's do, and is not repeated in messages.
        verdict: The verdict.
        sleep: Function that waits.

    Returns:
        The trouble in one sentence; empty where the server took it.
    """
    body = json.dumps(make_message(verdict), ensure_ascii=False).encode()
    trouble = ""
    for attempt in range(TRIES):
        if attempt:
            sleep(FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
        trouble, again = _post(url, body)
        if not again:
            break
    return f"The webhook was not told: {trouble}." if trouble else ""


def make_message(verdict: ServingVerdict) -> dict[str, Any]:
    """`text`, which Slack shows, and the verdict without its numbers."""
    found = [finding for finding in verdict.findings if finding.blocking][:MOST_FINDINGS]
    lines = [f"{verdict.model} {verdict.model_version}: {verdict.status.replace('_', ' ')}. {verdict.reason}"]
    lines += [f"• {finding.text}" for finding in found[1:]]
    content = verdict.model_dump(mode="json", exclude={"numbers", "findings"})
    text = html.escape("\n".join(lines), quote=False)  # values come from requests: no <!channel>, no links in Slack
    return {"text": text, "verdict": {**content, "findings": [each.model_dump() for each in found]}}


def sign_body(secret: str, moment: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 of moment, a point and the body: the moment makes an old message an old one."""
    return "sha256=" + hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()


def _post(url: str, body: bytes) -> tuple[str, bool]:
    """The trouble, and whether another try may help."""
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "taxiway-monitor"}
    secret = os.environ.get(SECRET_VARIABLE, "")
    if secret:
        moment = str(int(time.time()))
        headers |= {TIME_HEADER: moment, SIGNATURE_HEADER: sign_body(secret, moment, body)}
    try:
        request = urllib.request.Request(url, body, headers, method="POST")
        with _OPENER.open(request, timeout=TIMEOUT_SECONDS):
            return "", False
    except urllib.error.HTTPError as error:
        error.close()
        return f"its server answers {error.code}", error.code >= 500 or error.code == 429
    except http.client.HTTPException as error:  # its words hold the address, or what a server that is none has sent
        return f"its server speaks no HTTP ({type(error).__name__})", True
    except (OSError, ValueError) as error:  # ValueError: what is no address
        reason = getattr(error, "reason", error)
        return redact_secrets(f"{type(error).__name__}: {reason}".replace(url, "the address")), isinstance(
            error, OSError
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signed message goes where it was sent, and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)
