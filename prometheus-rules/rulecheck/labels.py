"""Which labels the result of a query can have, and which it has on every machine.

A resource label such as `k8s_namespace_name` is possible but not certain: a laptop has none. It
becomes certain when label_replace() fills it where it is empty.
"""

from __future__ import annotations

from typing import NamedTuple

import promql_parser as promql

from rulecheck.known import Known
from rulecheck.tree import SET_OPERATORS, operator, selector_pattern


class Labels(NamedTuple):
    """Labels of a result."""

    possible: frozenset[str]
    certain: frozenset[str]


NONE = Labels(frozenset(), frozenset())


_LITERALS = (promql.StringLiteral, promql.NumberLiteral)
_LABELLESS = frozenset({"vector", "scalar", "time"})


def labels_of(expr: promql.Expr, known: Known) -> Labels:
    """Derive the labels of an expression's result."""
    if isinstance(expr, promql.VectorSelector):
        return _of_selector(expr, known)
    if isinstance(expr, promql.MatrixSelector):
        return _of_selector(expr.vector_selector, known)
    if isinstance(expr, promql.ParenExpr | promql.UnaryExpr | promql.SubqueryExpr):
        return labels_of(expr.expr, known)
    if isinstance(expr, promql.AggregateExpr):
        return _of_aggregation(expr, known)
    if isinstance(expr, promql.Call):
        return _of_call(expr, known)
    if isinstance(expr, promql.BinaryExpr):
        return _of_binary(expr, known)
    return NONE


def _of_selector(selector: promql.VectorSelector, known: Known) -> Labels:
    pattern = selector_pattern(selector)
    if pattern is not None:
        found = known.matching(pattern)
    else:
        found = [known.series[selector.name]] if selector.name in known.series else []
    if not found:
        return NONE
    return Labels(
        frozenset.union(*(series.labels for series in found)),
        frozenset.intersection(*(series.certain for series in found)),
    )


def _of_aggregation(expr: promql.AggregateExpr, known: Known) -> Labels:
    inner = labels_of(expr.expr, known)
    if str(expr.op) in {"topk", "bottomk", "limitk"}:
        return inner
    if expr.modifier is None:
        return NONE
    named = frozenset(expr.modifier.labels)
    if expr.modifier.type == promql.AggModifierType.Without:
        return Labels(inner.possible - named, inner.certain - named)
    return Labels(inner.possible & named, inner.certain & named)


def _of_call(expr: promql.Call, known: Known) -> Labels:
    name = expr.func.name
    if name == "label_replace":
        inner = labels_of(expr.args[0], known)
        target, source, pattern = (expr.args[index].val for index in (1, 3, 4))
        fills = (source == target and pattern == "") or source == ""
        copies = source in inner.certain
        certain = inner.certain | {target} if fills or copies else inner.certain
        return Labels(inner.possible | {target}, certain)
    if name == "histogram_quantile":
        inner = labels_of(expr.args[1], known)
        return Labels(inner.possible - {"le"}, inner.certain - {"le"})
    vectors = [a for a in expr.args if not isinstance(a, _LITERALS)]
    return labels_of(vectors[-1], known) if vectors and name not in _LABELLESS else NONE


def _of_binary(expr: promql.BinaryExpr, known: Known) -> Labels:
    left, right = labels_of(expr.lhs, known), labels_of(expr.rhs, known)
    if operator(expr) == "or":
        return Labels(left.possible | right.possible, left.certain & right.certain)
    if operator(expr) in SET_OPERATORS:
        return left
    if _is_number(expr.lhs):
        return right
    modifier = expr.modifier
    if modifier is not None and modifier.card == promql.VectorMatchCardinality.OneToMany:
        return right
    one_to_one = modifier is None or modifier.card == promql.VectorMatchCardinality.OneToOne
    if one_to_one and modifier is not None and modifier.matching is not None:
        named = frozenset(modifier.matching.labels)
        if modifier.matching.type == promql.LabelModifierType.Include:
            return Labels(left.possible & named, left.certain & named)
    return left


def _is_number(expr: promql.Expr) -> bool:
    if isinstance(expr, promql.Call):
        return expr.func.name in {"scalar", "time"}
    return isinstance(expr, promql.NumberLiteral)
