"""What the installed environment must have beside what we import."""

import subprocess
import sys
from pathlib import Path

import pytest

from taxiway.components.processes.subprocesses import CHILD_ENVIRONMENT
from taxiway.environment import ENVIRONMENT

BUILD = """
import importlib, sys
from tfx.components.util import udf_utils
wheel, name = udf_utils.package_user_module_file("Mine", sys.argv[1], sys.argv[2])
print(wheel)
sys.path.insert(0, udf_utils.install_to_temp_directory(wheel))
print(importlib.import_module("users_module").preprocessing_fn({"a": 1}))
"""


def test_tfx_packages_and_installs_a_users_module_file(tmp_path):
    """It runs `python -m pip`, which an environment made by uv does not bring."""
    module = tmp_path / "mine" / "users_module.py"
    module.parent.mkdir()
    module.write_text("def preprocessing_fn(inputs):\n    return inputs\n")
    command = [sys.executable, "-c", BUILD, str(module), str(tmp_path / "root")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "{'a': 1}", done.stdout
    assert list((tmp_path / "root").rglob("*.whl"))


def test_one_module_names_what_tensorflow_reads_when_it_is_imported():
    checkout = Path(__file__).parents[1]
    files = [file for room in ("components", "pipeline") for file in (checkout / room).rglob("*.py")]
    files += (checkout / "taxiway").glob("*.py")
    naming = {str(file.relative_to(checkout)) for file in files if '"TF_USE_LEGACY_KERAS"' in file.read_text()}
    assert naming == {"taxiway/environment.py"}
    assert CHILD_ENVIRONMENT["TF_USE_LEGACY_KERAS"] == ENVIRONMENT["TF_USE_LEGACY_KERAS"] == "1"


HDF5_STATE = """
import ctypes, pathlib
from taxiway.environment import set_environment
set_environment()
import h5py
[library] = pathlib.Path(h5py.__file__).parents[1].glob("h5py.libs/libhdf5-*.so*")
state = ctypes.c_uint(9)
assert ctypes.CDLL(str(library)).H5PLget_loading_state(ctypes.byref(state)) == 0
print(state.value)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the wheel of another system keeps its libraries elsewhere")
def test_hdf5_loads_no_plugins(monkeypatch):
    """CVE-2026-2492: they come from a folder that another user may have written to."""
    monkeypatch.delenv("HDF5_PLUGIN_PRELOAD", raising=False)
    done = subprocess.run([sys.executable, "-c", HDF5_STATE], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "0\n", done.stderr
    assert CHILD_ENVIRONMENT["HDF5_PLUGIN_PRELOAD"] == "::"
