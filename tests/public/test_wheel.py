"""The wheel in an environment of its own, run where the user's own folders have the names of ours.

The one pipeline run here is also read from Python, with what `taxiway` exports.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SOURCES = (
    "taxiway",
    "components",
    "pipeline",
    "data",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "THIRD_PARTY_LICENSES.md",
)
FAST = (
    "--set",
    "optimization.variants=[frozen]",
    "--set",
    "training.epochs=1",
    "--set",
    "evaluation.thresholds={auc: {min: 0.55}}",
)
RUN_TIMEOUT_SECONDS = 1500
READ_RUN = """
import json, sys, taxiway
run = taxiway.run("folder/table.yaml", overrides=sys.argv[1:], quiet=True)
assert run == taxiway.Run.open()
model = run.find_artifact("Trainer", "model")
print(json.dumps({
    "package": taxiway.__file__,
    "state": run.state,
    "version": run.version,
    "version_path": str(run.version_path),
    "auc": run.find_metrics().candidate["auc"],
    "slices": sorted(run.metrics["Evaluator"]),
    "gates": {name: gate.passed for name, gate in run.gates.items()},
    "variants": {name: variant.status for name, variant in run.variants.items()},
    "chosen": run.chosen_variant.variant,
    "model": [model.node, model.output, model.type, model.path.is_dir()],
    "nodes": list(run.nodes),
    "report": run.report.is_file(),
    "log": run.log.is_file(),
    "lineage": sorted({node.name for node in run.open_lineage().where(kind="execution")}),
}))
"""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and a user's folder."""

    environment: Path
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [str(self.environment / "bin" / command[0]), *command[1:]],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_SECONDS,
            env={**_drop_the_checkout(), "COLUMNS": "140"},
        )


def _drop_the_checkout() -> dict[str, str]:
    """The environment's variables without the checkout: pip takes its egg-info for an installed package."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy: building writes beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = REPOSITORY / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name, **_keep_links(source))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return next((folder / "dist").glob("*.whl"))


def _keep_links(source: Path) -> dict:
    ignored = shutil.ignore_patterns("__pycache__")
    return {"symlinks": True, "ignore": ignored} if source.is_dir() else {}


def test_the_wheel_holds_one_package_with_all_its_files(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"taxiway"}
    tracked = subprocess.run(
        ["git", "ls-files", "components", "pipeline", "data"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert {f"taxiway/{name}" for name in tracked} <= set(names)
    assert {"taxiway/py.typed", "taxiway/__init__.pyi"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Installed:
    """A fresh environment: the wheel, and the packages of this one without its editable install."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=300)
    python = str(environment / "bin" / "python")
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    done = subprocess.run(install, capture_output=True, text=True, timeout=600, env=_drop_the_checkout())
    assert done.returncode == 0, done.stdout + done.stderr
    own = next((environment / "lib").glob("python*/site-packages"))
    here = Path(pytest.__file__).parents[1]
    (own / "packages_of_the_lock.pth").write_text(f"{here}\n")  # files like it in there are not read
    return Installed(environment, _make_users_folder(tmp_path_factory.mktemp("user")))


def _make_users_folder(folder: Path) -> Path:
    """Rows under `data/`, and packages and modules with our names that must never be imported."""
    for name in ("components", "pipeline", "data"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise ImportError('this is the {name} of the user')\n")
    generator = random.Random(5)
    rows = [_make_row(generator) for _ in range(1200)]
    (folder / "data" / "table.csv").write_text("size,colour,weight,sold\n" + "".join(rows))
    return folder


def _make_row(generator: random.Random) -> str:
    size, colour = generator.randint(1, 40), generator.choice(["red", "green", "blue"])
    sold = generator.random() < (0.8 if size > 20 and colour != "red" else 0.25)
    return f"{size},{colour},{generator.gauss(3, 1):.3f},{'yes' if sold else 'no'}\n"


def test_the_installed_package_is_the_only_one(installed):
    script = "import sys, taxiway.components.errors as e; print(e.__file__); print(*sys.modules)"
    done = installed.run("python", "-c", script)
    assert done.returncode == 0, done.stderr
    place, modules = done.stdout.splitlines()
    assert Path(place).is_relative_to(installed.environment)
    assert not {"components", "pipeline", "data"} & set(modules.split())


@pytest.mark.e2e
@pytest.mark.timeout(2 * RUN_TIMEOUT_SECONDS)
def test_a_run_to_a_pushed_version_among_folders_of_our_names(installed):
    done = installed.run("taxiway", "init", "data/table.csv", "--label", "sold", "-o", "folder/table.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = installed.run("taxiway", "run", "folder/table.yaml", *FAST)
    assert done.returncode == 0, done.stdout + done.stderr
    [version] = (installed.folder / "taxiway-root" / "serving").glob("*/[0-9]*")
    done = installed.run("python", "-c", READ_RUN, *(word for word in FAST if word != "--set"))
    assert done.returncode == 0, done.stdout + done.stderr
    _check_run(json.loads(done.stdout), installed, version)


def _check_run(read: dict, installed: Installed, version: Path) -> None:
    """Nothing has changed since the command's run, so `taxiway.run` returns that one, as objects."""
    assert Path(read["package"]).is_relative_to(installed.environment)
    assert (read["state"], read["version"]) == ("live", int(version.name))
    assert Path(read["version_path"]).samefile(version)
    assert 0.5 < read["auc"] <= 1
    assert read["slices"] == ["colour=blue", "colour=green", "colour=red", "overall"]
    assert read["gates"] == dict.fromkeys(["DataGate", "Evaluator", "OptimizedEvaluator", "ServingValidator"], True)
    assert read["chosen"] in read["variants"] and {"reference", "frozen"} <= set(read["variants"])
    assert read["model"] == ["Trainer", "model", "Model", True]
    assert (read["nodes"][0], read["nodes"][-1]) == ("ExampleGen", "ModelExplainer")
    assert read["report"] and read["log"]
    assert {"ExampleGen", "Trainer", "Pusher"} <= set(read["lineage"])
