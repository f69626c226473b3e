"""What is wrong with one query, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import promql_parser as promql

from rulecheck.known import Known, Series
from rulecheck.labels import labels_of
from rulecheck.tree import is_filter, operator, selector_pattern, walk

NEVER_ZERO = frozenset({"days_in_month"})
RATES = frozenset({"rate", "irate", "increase"})
SHORTEST_WINDOW = timedelta(seconds=20)
"""Four exports of 5 s: with fewer samples a rate is a guess, and one late export makes a gap."""


def query_problems(text: str, known: Known) -> list[str]:
    """Say everything that is wrong with a query; an empty list when nothing is."""
    try:
        expr = promql.parse(text)
    except ValueError as error:
        return [f"does not parse: {error}"]
    return expression_problems(expr, known)


def expression_problems(expr: promql.Expr, known: Known) -> list[str]:
    """Say everything that is wrong with a parsed query."""
    problems: list[str] = []
    for node, above in walk(expr):
        if isinstance(node, promql.VectorSelector):
            problems += _selector(node, above, known)
        elif isinstance(node, promql.AggregateExpr):
            problems += _aggregation(node, known)
        elif isinstance(node, promql.BinaryExpr):
            problems += _division(node, known)
        elif isinstance(node, promql.Call) and node.func.name in RATES:
            problems += _rate(node)
    return list(dict.fromkeys(problems))


def _selector(
    node: promql.VectorSelector, above: tuple[promql.Expr, ...], known: Known
) -> Iterator[str]:
    pattern = selector_pattern(node)
    if pattern is not None:
        found = known.matching(pattern)
    else:
        found = [known.series[node.name]] if node.name in known.series else []
    if not found:
        yield f"no series is called {pattern or node.name!r}"
        return
    for series in found:
        yield from _matchers(node, series)
        yield from _kind(series, above)


def _matchers(node: promql.VectorSelector, series: Series) -> Iterator[str]:
    for matcher in node.matchers.matchers:
        if matcher.name == "__name__":
            continue
        if matcher.name not in series.labels and not series.recorded:
            yield f"{series.name} has no label {matcher.name!r}"
        elif series.recorded and matcher.name not in series.labels:
            yield f"{series.name} is recorded without label {matcher.name!r}"
        allowed = series.values.get(matcher.name)
        if allowed and matcher.value and "$" not in matcher.value:
            for value in sorted(set(matcher.value.split("|")) - allowed):
                yield f"{series.name} never has {matcher.name}={value!r}"


def _kind(series: Series, above: tuple[promql.Expr, ...]) -> Iterator[str]:
    rated = [n.func.name for n in above if isinstance(n, promql.Call) and n.func.name in RATES]
    if rated and not series.counter:
        yield f"{rated[-1]}() of {series.name}, which is no counter"
    if series.counter and not rated and not _is_looked_up(above):
        yield f"{series.name} is a counter and is read without a rate"


_LOOKS_UP = frozenset(
    {"last_over_time", "present_over_time", "count_over_time", "absent", "absent_over_time"}
)


def _is_looked_up(above: tuple[promql.Expr, ...]) -> bool:
    """Whether a raw counter is asked when it was born, or whether or how long it is there."""
    calls = {n.func.name for n in above if isinstance(n, promql.Call)}
    if calls & _LOOKS_UP:
        return True
    return any(isinstance(n, promql.BinaryExpr) and operator(n) == "unless" for n in above)


def _aggregation(node: promql.AggregateExpr, known: Known) -> Iterator[str]:
    if node.modifier is None:
        return
    possible = labels_of(node.expr, known).possible
    for label in node.modifier.labels:
        if possible and label not in possible:
            yield f"{node.op} by {label!r}, which its argument never has"


def _division(node: promql.BinaryExpr, known: Known) -> Iterator[str]:
    if operator(node) != "/" or isinstance(node.rhs, promql.NumberLiteral):
        return
    for part, _ in walk(node.rhs):
        series = known.series.get(getattr(part, "name", None) or "")
        if is_filter(part) or (series is not None and series.filtered):
            return
        if isinstance(part, promql.Call) and part.func.name in NEVER_ZERO:
            return
    yield "divides by what can be zero: 0/0 is NaN; write `/ (total > 0)`"


def _rate(node: promql.Call) -> Iterator[str]:
    argument = node.args[0]
    if isinstance(argument, promql.SubqueryExpr):
        yield f"{node.func.name}() of a subquery: resets inside an aggregate cannot be seen"
    elif isinstance(argument, promql.MatrixSelector) and argument.range < SHORTEST_WINDOW:
        yield (
            f"{node.func.name}() over {argument.range.total_seconds():.0f}s: "
            f"at least {SHORTEST_WINDOW.total_seconds():.0f}s"
        )
