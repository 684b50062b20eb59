"""Asks the REST application without a socket, as uvicorn would."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any


def ask(
    app: Any, method: str, path: str, body: bytes | list[bytes] = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of the answer; status 0 where there is none."""
    return asyncio.run(_ask(app, method, path, body, headers or {}))


async def _ask(
    app: Any, method: str, path: str, body: bytes | list[bytes], headers: Mapping[str, str]
) -> tuple[int, bytes]:
    chunks = [body] if isinstance(body, bytes) else body
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if chunks:
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    raw = path.encode("utf-8", "surrogatepass")
    scope = {"type": "http", "method": method, "path": path, "raw_path": raw, "headers": encoded, "query_string": b""}
    await app(scope, receive, send)
    if not sent:
        return 0, b""
    return sent[0]["status"], b"".join(bytes(message["body"]) for message in sent[1:])
