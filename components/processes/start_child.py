"""Runs one of our modules as the main module: `python .../start_child.py MODULE ARGUMENTS...`.

`python -m MODULE` puts the current folder first on the module search path: a `taxiway/` or a `yaml.py` of the user's
there would replace ours. Here the search path has the installed packages and `PYTHONPATH` only, and `taxiway` is the
package that this file belongs to, whatever else the search path calls `taxiway`.
"""

import sys

if __name__ == "__main__":
    del sys.path[0]  # this file's folder; before any import that it could answer

    import importlib.machinery
    import importlib.util
    import os
    import runpy
    from pathlib import Path

    folder = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location(
        "taxiway", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    sys.modules["taxiway"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["taxiway"])
    module = sys.argv.pop(1)
    if "TAXIWAY_PROFILE_FILE" in os.environ:
        from taxiway.components.processes.phases import watch_process

        # What the packages around the module import is recorded in its name already.
        sys.modules["__main__"].__spec__ = importlib.machinery.ModuleSpec(module, None)
        watch_process()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
