"""Size of a servable: on disk, and compressed as a transfer or an image layer would hold it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

from taxiway.components.optimizer.report import ServableSize


def measure_size(path: str, reference: ServableSize | None = None) -> ServableSize:
    """Sizes of a file, or of all files under a folder, with the ratios to the reference's."""
    root = Path(path) if Path(path).is_dir() else Path(path).parent
    files = sorted(p for p in root.rglob("*") if p.is_file()) if Path(path).is_dir() else [Path(path)]
    size = ServableSize(
        bytes=sum(p.stat().st_size for p in files), compressed_bytes=_count_compressed_bytes(files, root)
    )
    base = reference or size
    return size.model_copy(
        update={
            "ratio": base.bytes / max(size.bytes, 1),
            "compressed_ratio": base.compressed_bytes / max(size.compressed_bytes, 1),
        }
    )


def _count_compressed_bytes(files: list[Path], root: Path) -> int:
    counter = _ByteCounter()
    with tarfile.open(fileobj=counter, mode="w:gz", compresslevel=6) as archive:
        for path in files:
            entry = tarfile.TarInfo(str(path.relative_to(root)))  # no owner, no time: only the bytes count
            entry.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(entry, content)
    return counter.count


class _ByteCounter(io.RawIOBase):
    """Counts what is written and keeps nothing: an archive may be as large as the model."""

    count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.count += len(data)
        return len(data)
