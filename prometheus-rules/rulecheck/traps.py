"""Mistakes that look right: each was made somewhere, and none is seen by promtool."""

from __future__ import annotations

import re
from collections.abc import Iterator

import promql_parser as promql

from rulecheck.known import Known
from rulecheck.rules import Rule, RuleSet
from rulecheck.tree import is_filter, walk

_RAW_VALUE = re.compile(r"\$value\b(?! \| humanize)")
# A scrape that failed writes `up` as well, and ALERTS is written by the evaluation itself.
_NEVER_GAPS = frozenset({"up", "ALERTS"})


def trap_problems(rule: Rule, rules: RuleSet, known: Known) -> Iterator[str]:
    """Say which traps a rule walks into."""
    yield from _unbounded_quantiles(rule)
    if not rule.is_alert:
        return
    if rule.patience is None and any(_is_absence(node) for node, _ in walk(rule.expr)):
        yield "asks for absence without `for`: one scrape that is late fires it"
    for name, text in rule.annotations.items():
        if _RAW_VALUE.search(text):
            yield f"{name} shows the value as it is; write {{{{ $value | humanize… }}}}"
    for gauge in sorted(_bare_gauges(rule, rules, known)):
        yield f"reads the gauge {gauge} at one instant: one failed scrape ends it; ask …_over_time"


def _unbounded_quantiles(rule: Rule) -> Iterator[str]:
    for node, above in walk(rule.expr):
        is_quantile = isinstance(node, promql.Call) and node.func.name == "histogram_quantile"
        if is_quantile and not any(is_filter(outer) for outer in above):
            yield "a quantile of no calls is NaN; write `histogram_quantile(…) >= 0`"


def _is_absence(node: promql.Expr) -> bool:
    return isinstance(node, promql.Call) and node.func.name.startswith("absent")


def _bare_gauges(rule: Rule, rules: RuleSet, known: Known) -> set[str]:
    """Gauges that an alert, or what it reads of its own group, takes at one instant only."""
    found: set[str] = set()
    bridged: set[str] = set()
    seen: set[str] = set()
    waiting = [rule.expr]
    while waiting:
        for node, above in walk(waiting.pop()):
            if not isinstance(node, promql.VectorSelector) or node.name is None:
                continue
            if node.name in rules.records:
                if node.name not in seen:
                    seen.add(node.name)
                    waiting += [r.expr for r in rules.rules if r.name == node.name]
            elif _is_gauge(node.name, known):
                (bridged if _over_time(above) else found).add(node.name)
    return found - bridged


def _is_gauge(name: str, known: Known) -> bool:
    series = known.series.get(name)
    return series is not None and series.measured and not series.counter and name not in _NEVER_GAPS


def _over_time(above: tuple[promql.Expr, ...]) -> bool:
    return any(isinstance(n, promql.Call) and n.func.name.endswith("_over_time") for n in above)
