"""Size of a servable: on disk, and compressed as a transfer or an image layer would hold it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from components.optimizer.report import Size


def measure(path: str, reference: Size | None = None) -> Size:
    """Sizes of a file, or of all files under a folder, with the ratios to the reference's."""
    root = Path(path) if Path(path).is_dir() else Path(path).parent
    files = sorted(p for p in root.rglob("*") if p.is_file()) if Path(path).is_dir() else [Path(path)]
    size = Size(bytes=sum(p.stat().st_size for p in files), compressed_bytes=_compressed(files, root))
    base = reference or size
    return size.model_copy(
        update={
            "ratio": base.bytes / max(size.bytes, 1),
            "compressed_ratio": base.compressed_bytes / max(size.compressed_bytes, 1),
        }
    )


def _compressed(files: list[Path], root: Path) -> int:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for path in files:
            entry = tarfile.TarInfo(str(path.relative_to(root)))  # no owner, no time: only the bytes count
            entry.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(entry, content)
    return len(buffer.getvalue())
