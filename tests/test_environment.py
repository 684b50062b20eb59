"""What the installed environment must have beside what we import."""

import subprocess
import sys

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
