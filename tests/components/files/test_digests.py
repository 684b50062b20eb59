"""One way to hash a file."""

import hashlib
import io
import re
from pathlib import Path

from taxiway.components.files.digests import BLOCK_BYTES, hash_file, hash_stream

HOME = Path(__file__).parents[3]


def test_a_file_of_several_blocks(tmp_path):
    content = bytes(range(256)) * (BLOCK_BYTES // 256) * 2 + b"the rest"
    (tmp_path / "file").write_bytes(content)
    assert hash_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()
    assert hash_stream(io.BytesIO(content)) == (hashlib.sha256(content).hexdigest(), len(content))


def test_an_empty_file(tmp_path):
    (tmp_path / "file").touch()
    assert hash_file(tmp_path / "file") == hashlib.sha256().hexdigest()


def test_nobody_else_hashes_files():
    """A loop over blocks beside this module, or a file read whole to be hashed."""
    other_way = re.compile(r"sha256\([^)\n]*read_bytes\(|:= \w+\.read\([^)]*\):\n\s+\w+\.update\(")
    allowed = {"components/files/digests.py", "components/files/durable_files.py"}  # a copy is hashed as it is written
    sources = [path for room in ("components", "pipeline") for path in (HOME / room).rglob("*.py")]
    assert len(sources) > 200
    found = {str(path.relative_to(HOME)) for path in sources if other_way.search(path.read_text(encoding="utf-8"))}
    assert found <= allowed
    assert found == allowed, "the pattern finds those that there are"
