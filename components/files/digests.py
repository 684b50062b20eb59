"""SHA-256 of files, read in blocks: a file may be larger than the memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

BLOCK_BYTES = 1 << 20


def hash_file(path: str | Path) -> str:
    """Digest of a file's bytes, in hexadecimal."""
    with open(path, "rb", buffering=0) as stream:
        return hash_stream(stream)[0]


def hash_stream(stream: Any) -> tuple[str, int]:
    """Digest, in hexadecimal, and number of the bytes that `stream.read` gives."""
    digest, size = hashlib.sha256(), 0
    while block := stream.read(BLOCK_BYTES):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size
