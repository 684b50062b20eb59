"""Which edits change a node's fingerprint."""

import pytest

from taxiway.pipeline import code_fingerprint
from taxiway.pipeline.code_fingerprint import fingerprint_code, fingerprint_nodes


@pytest.fixture
def tree(tmp_path):
    files = {
        "mine/__init__.py": "",
        "mine/entry.py": "import os\nfrom . import near\n\n\ndef work():\n    from mine.lazy import thing\n",
        "mine/near.py": "from .deep.below import x\n",
        "mine/lazy.py": "CHILD = 'mine.child'\n",
        "mine/child.py": "print('a process of its own')\n",
        "mine/deep/__init__.py": "",
        "mine/deep/below.py": "x = 1\n",
        "mine/unrelated.py": "y = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize("edited", ["entry", "near", "lazy", "child", "deep/below", "deep/__init__"])
def test_an_edit_of_what_is_imported_changes_it(tree, edited):
    before = fingerprint_code(["mine.entry"], tree)
    path = tree / "mine" / f"{edited}.py"
    path.write_text(path.read_text() + "z = 2\n")
    assert fingerprint_code(["mine.entry"], tree) != before


def test_an_unrelated_edit_does_not(tree):
    before = fingerprint_code(["mine.entry"], tree)
    (tree / "mine" / "unrelated.py").write_text("y = 2\n")
    assert fingerprint_code(["mine.entry"], tree) == before


def test_a_touched_file_does_not(tree):
    before = fingerprint_code(["mine.entry"], tree)
    (tree / "mine" / "near.py").touch()
    assert fingerprint_code(["mine.entry"], tree) == before


EXECUTORS = {"DataGate": "taxiway.components.gates.executor.DataGateExecutor", "StatisticsGen": "tfx.x.Executor"}


def test_the_code_of_installed_packages_is_not_read(tree):
    before = fingerprint_nodes(EXECUTORS, ["mine.entry.work"], tree)
    (tree / "mine" / "near.py").write_text("x = 3\n")
    after = fingerprint_nodes(EXECUTORS, ["mine.entry.work"], tree)
    assert {node for node in EXECUTORS if before[node] != after[node]} == {"DataGate"}


def test_another_stack_takes_nothing_from_the_cache(monkeypatch):
    """Else a transform graph of one TensorFlow would go into a model of another one."""
    before = fingerprint_nodes(EXECUTORS, [], None)
    monkeypatch.setattr(code_fingerprint.metadata, "version", lambda name: "99")
    after = fingerprint_nodes(EXECUTORS, [], None)
    assert not set(before.values()) & set(after.values())


def test_the_users_own_function_counts(tree):
    executors = {"Transform": "taxiway.components.transform.executor.Executor"}
    before = fingerprint_nodes(executors, ["mine.entry.work"], tree)
    (tree / "mine" / "near.py").write_text("x = 3\n")
    assert fingerprint_nodes(executors, ["mine.entry.work"], tree) != before


def test_our_own_closure_reaches_the_core_and_not_the_command_line(monkeypatch):
    from taxiway.pipeline import code_fingerprint as fingerprint

    closure = fingerprint._collect_modules(["taxiway.components.gates.executor"], None)
    assert "taxiway.components.gates.data_gate" in closure
    assert not any(name.startswith("taxiway.pipeline") for name in closure)


@pytest.mark.parametrize("node", ["trainer", "optimizer"])
def test_the_training_core_counts_for_the_nodes_that_train(node):
    from taxiway.pipeline import code_fingerprint as fingerprint

    modules = fingerprint._collect_modules((f"taxiway.components.{node}.executor",), None)
    assert {f"taxiway.components.training.{name}" for name in ("main", "trained_model", "loop.steps")} <= set(modules)


def test_installed_packages_beside_ours_are_not_read(tmp_path, monkeypatch):
    """In an image our packages lie in site-packages, where everything else lies too."""
    from taxiway.pipeline import code_fingerprint as fingerprint

    files = {"taxiway/__init__.py": "", "taxiway/x.py": "import other.y\n", "other/y.py": "raise SystemExit\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(fingerprint, "_HOME", tmp_path)
    assert list(fingerprint._collect_modules(["taxiway.x"], None)) == ["taxiway.x", "taxiway"]


@pytest.mark.parametrize("name", ["data", "components", "pipeline"])
def test_a_users_module_of_any_name_counts(name, tmp_path, monkeypatch):
    """Also where the configuration lies in the checkout's own folder, which has such folders too."""
    from taxiway.pipeline import code_fingerprint as fingerprint

    (tmp_path / f"{name}.py").write_text("x = 1\n")
    before = fingerprint_code([name], tmp_path)
    (tmp_path / f"{name}.py").write_text("x = 2\n")
    assert fingerprint_code([name], tmp_path) != before
    monkeypatch.setattr(fingerprint, "_HOME", tmp_path)
    assert list(fingerprint._collect_modules([name], tmp_path)) == [name]
