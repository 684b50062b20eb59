"""What a run's record says of the environment that made it."""

import platform
import subprocess
import sys
from importlib import metadata

import yaml

from taxiway.pipeline import config as configuration
from taxiway.pipeline.root import Root
from taxiway.pipeline.runs import environment
from taxiway.pipeline.runs.on_disk import run_folder
from taxiway.pipeline.runs.request import RunRequest
from taxiway.pipeline.tracking import run_record
from taxiway.pipeline.tracking.run_record import RunEnvironment


def test_the_environment_is_that_of_this_process():
    found = environment.inspect_environment()
    assert found.python == platform.python_version()
    assert found.packages["tensorflow"] == metadata.version("tensorflow")
    assert found.packages["tfx"] == metadata.version("tfx")
    system, _, c_library = found.platform.partition(", ")
    assert system == f"{platform.system()} {platform.machine()}"
    assert c_library == " ".join(platform.libc_ver())


def test_a_system_without_a_named_c_library(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert environment.inspect_environment().platform == "Darwin arm64"


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("no-such-package", "numpy"))
    assert list(environment.inspect_environment().packages) == ["numpy"]


def test_versions_are_read_without_importing_the_packages():
    program = (
        "import sys; from taxiway.pipeline.runs.environment import inspect_environment; inspect_environment();"
        "print([name for name in ('tensorflow', 'tfx', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_records_it_when_it_begins(tmp_path):
    (tmp_path / "rows.csv").write_text("fare,tip\n1,0\n2,1\n")
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"name": "mine", "data": {"path": "rows.csv"}, "label": {"column": "tip"}}))
    root = Root.at(tmp_path / "root")
    root.runs.mkdir(parents=True)
    run = run_folder.begin_run(RunRequest(root=root.path), configuration.load_config(file), root)
    read = run_record.read_summary(root.run_folder(run.run_id))
    assert read.environment == environment.inspect_environment()


def test_the_line_names_python_tensorflow_tfx_and_the_platform():
    made_with = RunEnvironment(
        python="3.11.7",
        platform="Linux x86_64, glibc 2.36",
        packages={"numpy": "1.26.4", "tfx": "1.16.0", "tensorflow": "2.16.2"},
    )
    line = "stack tf216, Python 3.11.7, TensorFlow 2.16.2, TFX 1.16.0, Linux x86_64, glibc 2.36"
    assert made_with.to_line() == line
    assert made_with.model_copy(update={"packages": {}}).to_line() == "Python 3.11.7, Linux x86_64, glibc 2.36"


def test_the_stack_is_told_by_the_packages():
    made_with = RunEnvironment(python="3.12.1", platform="Linux x86_64", packages={"tfx": "1.21.0"})
    assert made_with.stack == "current"
    assert next(iter(made_with.to_table().items())) == ("stack", "current")
    assert made_with.model_dump()["stack"] == "current"
    assert RunEnvironment.model_validate_json(made_with.model_dump_json()) == made_with
    unknown = made_with.model_copy(update={"packages": {"tfx": "1.17.0"}})
    assert unknown.stack == "" and "stack" not in unknown.to_table()
