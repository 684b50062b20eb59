"""Which edits change a node's fingerprint."""

import pytest

from pipeline.fingerprint import code_fingerprint, node_fingerprints


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
    before = code_fingerprint(["mine.entry"], [tree])
    path = tree / "mine" / f"{edited}.py"
    path.write_text(path.read_text() + "z = 2\n")
    assert code_fingerprint(["mine.entry"], [tree]) != before


def test_an_unrelated_edit_does_not(tree):
    before = code_fingerprint(["mine.entry"], [tree])
    (tree / "mine" / "unrelated.py").write_text("y = 2\n")
    assert code_fingerprint(["mine.entry"], [tree]) == before


def test_a_touched_file_does_not(tree):
    before = code_fingerprint(["mine.entry"], [tree])
    (tree / "mine" / "near.py").touch()
    assert code_fingerprint(["mine.entry"], [tree]) == before


def test_nodes_of_installed_packages_have_none(tree):
    executors = {"DataGate": "components.gates.executor.DataGateExecutor", "StatisticsGen": "tfx.x.Executor"}
    assert list(node_fingerprints(executors, [], None)) == ["DataGate"]


def test_the_users_own_function_counts(tree):
    executors = {"Transform": "components.transform.executor.Executor"}
    before = node_fingerprints(executors, ["mine.entry.work"], tree)
    (tree / "mine" / "near.py").write_text("x = 3\n")
    assert node_fingerprints(executors, ["mine.entry.work"], tree) != before


def test_our_own_closure_reaches_the_core_and_not_the_command_line(monkeypatch):
    from pipeline import fingerprint

    closure = fingerprint._closure(("components.gates.executor",), (fingerprint._HOME,))
    assert "components.gates.data_gate" in closure
    assert not any(name.startswith("pipeline") for name in closure)


def test_installed_packages_beside_ours_are_not_read(tmp_path, monkeypatch):
    """In an image our packages lie in site-packages, where everything else lies too."""
    from pipeline import fingerprint

    for name, text in {"components/x.py": "import other.y\n", "other/y.py": "raise SystemExit\n"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(fingerprint, "_HOME", tmp_path)
    assert list(fingerprint._closure(("components.x",), (tmp_path,))) == ["components.x"]
