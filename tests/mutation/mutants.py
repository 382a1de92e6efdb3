"""Programs that differ from a given one in one place: what a test that means something must notice.

Not changed are annotations, docstrings, sentences for people (texts with a space) and what only type checkers read.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

OTHER: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
NOT_CALLED = frozenset({"debug", "info", "warning"})  # of a log: for people
Change = Callable[[ast.AST], None]


@dataclass(frozen=True)
class Mutant:
    """A changed program, and where and how it was changed."""

    line: int
    what: str
    tree: ast.Module

    def __str__(self) -> str:
        """In a line."""
        return f"line {self.line}: {self.what}"


def mutants(source: str) -> Iterator[Mutant]:
    """Every program that differs from the source in one place, in the order of the places."""
    tree = ast.parse(source)
    for index, node in enumerate(_live(tree)):
        for number, (what, _) in enumerate(_changes(node)):
            copy = deepcopy(tree)
            changed = list(_live(copy))[index]
            _, change = list(_changes(changed))[number]
            change(changed)
            yield Mutant(getattr(node, "lineno", 0), what, ast.fix_missing_locations(copy))


def _live(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it that decide what a program does, in a fixed order."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _for_readers(child):
                yield from _live(child)


def _for_readers(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring, or what stands like one
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        return node.value.func.attr in NOT_CALLED
    return isinstance(node, ast.AnnAssign) and node.value is None


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """What may be done to a node, each with its words."""
    if isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            other = OTHER[type(operator)]
            yield f"{_name(type(operator))} → {_name(other)}", _compare(number, other)
    elif isinstance(node, ast.BoolOp | ast.BinOp | ast.AugAssign) and type(node.op) in OTHER:
        other = OTHER[type(node.op)]
        yield f"{_name(type(node.op))} → {_name(other)}", _operator(other)
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    else:
        yield from _conditions(node)
        yield from _effects(node)


def _conditions(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not → twice not", _twice
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        yield "the condition is turned round", _turned
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield "the filter is gone", _unfiltered


def _effects(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "None is returned", _nothing
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield f"{ast.unparse(node.value)[:60]} is not called", _uncalled
    elif isinstance(node, ast.Break | ast.Continue):
        yield "break ↔ continue", _leapt


def _constants(node: ast.Constant) -> Iterator[tuple[str, Change]]:
    value = node.value
    other: object
    if isinstance(value, bool):
        other = not value
    elif isinstance(value, int | float):
        other = value + 1
    elif isinstance(value, str | bytes) and not (" " in value if isinstance(value, str) else b" " in value):
        other = value + "X" if isinstance(value, str) else value + b"X"
    else:
        return
    yield f"{value!r} → {other!r}"[:90], _valued(other)


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _name(kind: type[ast.AST]) -> str:
    return kind.__name__


def _compare(number: int, other: type[ast.AST]) -> Change:
    def change(node: ast.AST) -> None:
        node.ops[number] = other()  # type: ignore[attr-defined]  # a Compare

    return change


def _operator(other: type[ast.AST]) -> Change:
    def change(node: ast.AST) -> None:
        node.op = other()  # type: ignore[attr-defined]  # a BoolOp, BinOp or AugAssign

    return change


def _valued(value: object) -> Change:
    def change(node: ast.AST) -> None:
        node.value = value  # type: ignore[attr-defined]  # a Constant

    return change


def _twice(node: ast.AST) -> None:
    node.operand = ast.UnaryOp(ast.Not(), node.operand)  # type: ignore[attr-defined]  # a UnaryOp


def _turned(node: ast.AST) -> None:
    node.test = ast.UnaryOp(ast.Not(), node.test)  # type: ignore[attr-defined]  # an If, While or IfExp


def _unfiltered(node: ast.AST) -> None:
    node.ifs = []  # type: ignore[attr-defined]  # a comprehension


def _nothing(node: ast.AST) -> None:
    node.value = ast.Constant(None)  # type: ignore[attr-defined]  # a Return


def _uncalled(node: ast.AST) -> None:
    node.value = ast.Constant(None)  # type: ignore[attr-defined]  # an Expr


def _leapt(node: ast.AST) -> None:
    node.__class__ = ast.Continue if isinstance(node, ast.Break) else ast.Break  # type: ignore[assignment]  # alike
