"""Functions of the user's, whose modules may raise anything."""

from __future__ import annotations

import pytest

from taxiway.components.errors import ConfigError
from taxiway.components.user_functions import import_function


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("broken_syntax", "x = 1\ndef create(:\n", "SyntaxError"), ("broken_name", "\nnonsense\n", "NameError")],
)
def test_a_module_that_cannot_be_read_is_named_with_its_line(tmp_path, monkeypatch, name, text, said):
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=rf"cannot be imported: {said}: .*{name}.py, line 2"):
        import_function(f"{name}.create", "pipeline")
