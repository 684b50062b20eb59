"""The small language of `label.expression`: parsed into a tree of known nodes, evaluated on Arrow columns.

Python's own parser reads it, and only the nodes listed here pass; nothing is ever evaluated as Python. A missing
value in, a missing value out; `and` and `or` follow Kleene's logic.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

MAX_LENGTH = 1000
MAX_DEPTH = 40
_BACKQUOTED = re.compile(r"`([^`]+)`")
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn)
FUNCTIONS = ("abs", "log", "sqrt", "floor", "missing")
_ACCEPTED = (
    "Accepted are columns (in backquotes unless they are plain names), numbers, texts, + - * / // %, comparisons, "
    f"in (...), and, or, not, brackets, and the functions {', '.join(FUNCTIONS)}."
)


class ExpressionError(ValueError):
    """The expression is not of the language."""


@dataclass(frozen=True)
class LabelExpression:
    """A parsed expression.

    Attributes:
        text: The text, as written.
        columns: The columns that it reads.
    """

    text: str
    columns: tuple[str, ...]

    def evaluate(self, columns: Mapping[str, pa.Array]) -> pa.Array:
        """The expression's value for every row.

        Args:
            columns: Arrays `[rows]` by name: numbers, booleans, or text as `binary`.

        Returns:
            Array `[rows]` of booleans, numbers or text.

        Raises:
            ExpressionError: the columns' types do not allow the operation.
        """
        tree, names = _parse_tree(self.text)
        return _evaluate_tree(tree, names, columns)


def parse_expression(text: str) -> LabelExpression:
    """Parses and checks an expression.

    Raises:
        ExpressionError: what is wrong and what is accepted.
    """
    tree, names = _parse_tree(text)
    used = [names.get(n.id, n.id) for n in ast.walk(tree) if isinstance(n, ast.Name) and not _is_function(n, tree)]
    if not used:
        raise ExpressionError(f"{text!r} names no column. {_ACCEPTED}")
    return LabelExpression(text, tuple(dict.fromkeys(used)))


def _parse_tree(text: str) -> tuple[ast.expr, dict[str, str]]:
    """Python's syntax tree, checked, and the columns behind its placeholder names."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"The expression has {len(text)} characters; at most {MAX_LENGTH} are accepted.")
    names: dict[str, str] = {}

    def replace_column(match: re.Match[str]) -> str:
        key = f"column_{len(names)}__"
        names[key] = match[1]
        return f" {key} "

    try:
        tree = ast.parse(_BACKQUOTED.sub(replace_column, text).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"{text!r} cannot be read: {getattr(error, 'msg', error)}. {_ACCEPTED}") from error
    _check_node(tree, text, 0)
    return tree, names


def _check_node(node: ast.expr, text: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ExpressionError(f"{text!r} is nested more than {MAX_DEPTH} deep.")
    if not _is_accepted(node):
        raise ExpressionError(f"{text!r} holds {ast.unparse(node)[:60]!r}, which is not accepted. {_ACCEPTED}")
    for child in _list_operands(node):
        _check_node(child, text, depth + 1)


def _is_accepted(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (bool, int, float, str)) and not _is_huge(node.value)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, _OPERATORS)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, (ast.Not, ast.USub, ast.UAdd))
    if isinstance(node, ast.Compare):
        return all(_is_accepted_comparison(*pair) for pair in zip(node.ops, node.comparators, strict=True))
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS
        return named and len(node.args) == 1 and not node.keywords
    return isinstance(node, (ast.BoolOp, ast.Name))


def _is_accepted_comparison(op: ast.cmpop, right: ast.expr) -> bool:
    if isinstance(op, (ast.In, ast.NotIn)):
        listed = isinstance(right, (ast.Tuple, ast.List)) and bool(right.elts)
        return listed and all(isinstance(e, ast.Constant) and _is_accepted(e) for e in right.elts)  # type: ignore[attr-defined]
    return isinstance(op, _COMPARISONS)


def _is_huge(value: object) -> bool:
    return isinstance(value, int) and abs(value) >= 2**63


def _list_operands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.BoolOp):
        return list(node.values)
    if isinstance(node, ast.Compare):
        return [node.left, *(c for c in node.comparators if not isinstance(c, (ast.Tuple, ast.List)))]
    return list(node.args) if isinstance(node, ast.Call) else []


def _is_function(name: ast.Name, tree: ast.expr) -> bool:
    return any(isinstance(n, ast.Call) and n.func is name for n in ast.walk(tree))


def _evaluate_tree(node: ast.expr, names: Mapping[str, str], columns: Mapping[str, pa.Array]) -> Any:
    import pyarrow as pa

    try:
        return _evaluate_node(node, lambda name: columns[names.get(name, name)])
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
        raise ExpressionError(f"{str(error).splitlines()[0]} {_ACCEPTED}") from error


def _evaluate_node(node: ast.expr, column: Callable[[str], pa.Array]) -> Any:
    """Array or scalar."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(node, ast.Name):
        return column(node.id)
    if isinstance(node, ast.Constant):
        value = node.value.encode() if isinstance(node.value, str) else node.value
        return pa.scalar(value, pa.large_binary() if isinstance(value, bytes) else None)
    if isinstance(node, ast.BoolOp):
        combine = pc.and_kleene if isinstance(node.op, ast.And) else pc.or_kleene
        first, *rest = (_evaluate_node(v, column) for v in node.values)
        for other in rest:
            first = combine(first, other)
        return first
    if isinstance(node, ast.Compare):
        return _evaluate_comparison(node, column)
    arguments = [_evaluate_node(operand, column) for operand in _list_operands(node)]
    return _apply_operation(node, arguments)


def _apply_operation(node: ast.expr, arguments: list[Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(node, ast.UnaryOp):
        functions = {ast.Not: pc.invert, ast.USub: pc.negate, ast.UAdd: lambda x: x}
        return functions[type(node.op)](*arguments)
    if isinstance(node, ast.Call):
        calls = {"abs": pc.abs, "log": pc.ln, "sqrt": pc.sqrt, "floor": pc.floor, "missing": pc.is_null}
        return calls[node.func.id](*arguments)  # type: ignore[attr-defined]
    left, right = arguments
    operator = type(node.op)  # type: ignore[attr-defined]
    if operator in (ast.Add, ast.Sub, ast.Mult):
        return {ast.Add: pc.add, ast.Sub: pc.subtract, ast.Mult: pc.multiply}[operator](left, right)
    quotient = pc.divide(left.cast(pa.float64()), right.cast(pa.float64()))  # x / 0 is infinite: a missing label
    if operator is ast.Div:
        return quotient
    whole = pc.floor(quotient)
    return whole if operator is ast.FloorDiv else pc.subtract(left, pc.multiply(whole, right))


def _evaluate_comparison(node: ast.Compare, column: Callable[[str], pa.Array]) -> Any:
    """`a < b < c` is `a < b and b < c`, as in Python."""
    import pyarrow.compute as pc

    result, left = None, _evaluate_node(node.left, column)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        if isinstance(op, (ast.In, ast.NotIn)):
            value, right = _evaluate_membership(left, op, right_node), left
        else:
            right = _evaluate_node(right_node, column)
            value = _COMPARE_NAMES[type(op)](pc)(left, right)
        result = value if result is None else pc.and_kleene(result, value)
        left = right
    return result


def _evaluate_membership(left: Any, op: ast.cmpop, right: Any) -> Any:
    import pyarrow.compute as pc

    equals = [pc.equal(left, _evaluate_node(element, lambda name: None)) for element in right.elts]
    is_member = equals[0]
    for other in equals[1:]:
        is_member = pc.or_kleene(is_member, other)
    return pc.invert(is_member) if isinstance(op, ast.NotIn) else is_member


_COMPARE_NAMES: dict[type, Callable[[Any], Callable[[Any, Any], Any]]] = {
    ast.Lt: lambda pc: pc.less,
    ast.LtE: lambda pc: pc.less_equal,
    ast.Gt: lambda pc: pc.greater,
    ast.GtE: lambda pc: pc.greater_equal,
    ast.Eq: lambda pc: pc.equal,
    ast.NotEq: lambda pc: pc.not_equal,
}
