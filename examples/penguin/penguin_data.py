"""Penguins as TFX's example reads them: three species, four measures scaled to 0 to 1. Made, not measured."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

COLUMNS = ("culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "body_mass_g")
MEANS = ((0.25, 0.6, 0.25, 0.3), (0.62, 0.62, 0.4, 0.32), (0.55, 0.2, 0.8, 0.65))
"""Of the measures, by species."""
SHARES = (0.44, 0.2, 0.36)


def write_penguins(folder: Path, rows: int = 344, seed: int = 0) -> None:
    """Writes `labelled/penguins.csv`, and `unlabelled/penguins.csv` with a tenth as many rows and no species."""
    for name, count in (("labelled", rows), ("unlabelled", rows // 10)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(seed)
        with (folder / name / "penguins.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*(["species"] if name == "labelled" else []), *COLUMNS])
            for species in random.choice(len(SHARES), count, p=SHARES):
                measures = np.clip(random.normal(MEANS[species], 0.1), 0, 1).round(4)
                writer.writerow([*([species] if name == "labelled" else []), *measures])
