"""Walking a parsed query."""

from __future__ import annotations

from collections.abc import Iterator

import promql_parser as promql

COMPARISONS = frozenset({">", "<", ">=", "<=", "==", "!="})
SET_OPERATORS = frozenset({"and", "or", "unless"})


def children(expr: promql.Expr) -> list[promql.Expr]:
    """The direct parts of an expression; a range selector's part is its selector."""
    if isinstance(expr, promql.BinaryExpr):
        return [expr.lhs, expr.rhs]
    if isinstance(expr, promql.AggregateExpr):
        return [part for part in (expr.param, expr.expr) if part is not None]
    if isinstance(expr, promql.Call):
        return list(expr.args)
    if isinstance(expr, promql.MatrixSelector):
        return [expr.vector_selector]
    if isinstance(expr, promql.ParenExpr | promql.UnaryExpr | promql.SubqueryExpr):
        return [expr.expr]
    return []


def walk(
    expr: promql.Expr, above: tuple[promql.Expr, ...] = ()
) -> Iterator[tuple[promql.Expr, tuple[promql.Expr, ...]]]:
    """Every part of an expression with what it stands in, outermost first."""
    yield expr, above
    for child in children(expr):
        yield from walk(child, (*above, expr))


def operator(expr: promql.BinaryExpr) -> str:
    """The operator as it is written, without `bool`."""
    return str(expr.op).removesuffix(" bool")


def is_filter(expr: promql.Expr) -> bool:
    """Whether an expression is a comparison that drops samples."""
    if not isinstance(expr, promql.BinaryExpr) or operator(expr) not in COMPARISONS:
        return False
    return expr.modifier is None or not expr.modifier.return_bool


def always_compares(expr: promql.Expr) -> bool:
    """Whether no sample can come out that no comparison let through: what an alert must do."""
    if is_filter(expr):
        return True
    if isinstance(expr, promql.BinaryExpr):
        sides = [always_compares(expr.lhs), always_compares(expr.rhs)]
        named = operator(expr)
        if named == "or":
            return all(sides)
        if named == "unless":
            return sides[0]
        return any(sides)
    if isinstance(expr, promql.Call) and expr.func.name.startswith("absent"):
        return True
    vectors = [c for c in children(expr) if not isinstance(c, promql.StringLiteral)]
    return len(vectors) == 1 and always_compares(vectors[0])


def selector_pattern(selector: promql.VectorSelector) -> str | None:
    """The regular expression of a selector that names its series by `__name__=~`."""
    for matcher in selector.matchers.matchers:
        if matcher.name == "__name__" and matcher.op == promql.MatchOp.Re:
            return str(matcher.value)
    return None
