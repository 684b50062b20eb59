"""A griffe extension for docstrings that begin with `Args:`: the entries get the indentation of a section."""

from typing import Any

import griffe


class IndentArguments(griffe.Extension):
    """Docstrings of `__init__` here are their list of arguments alone."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Indents what follows the heading, so that it is read as a section."""
        if func.docstring and func.docstring.value.startswith("Args:\n"):
            func.docstring.value = "Args:\n" + _indent_entries(func.docstring.value.partition("\n")[2])


def _indent_entries(text: str) -> str:
    entries, separator, rest = text.partition("\n\n")
    return "\n".join(f"    {line}" for line in entries.splitlines()) + separator + rest
