"""What is wrong with a set of rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import promql_parser as promql

from rulecheck.catalog import Catalog
from rulecheck.known import Known, Series
from rulecheck.labels import labels_of
from rulecheck.queries import expression_problems
from rulecheck.rules import Rule, RuleSet
from rulecheck.traps import trap_problems
from rulecheck.tree import always_compares, is_filter, operator, walk

_ALERT_NAME = re.compile(r"^[A-Z][A-Za-z0-9]+$")
_RECORD_NAME = re.compile(r"^[a-z][a-z_]*:[a-z][a-z0-9_]*:[a-z][a-z0-9_]*$")
_TEMPLATE_LABEL = re.compile(r"\$labels\.([A-Za-z_][A-Za-z0-9_]*)")
_SHARE = re.compile(r":(ratio_|share_|factor|p\d)")
_TRAFFIC = re.compile(r":(increase|count_increase)")
_THRESHOLDS = frozenset(
    {"alert:midwatch_threshold:default", "alert_agent:midwatch_threshold:value"}
)
_CONSTANTS = ("midwatch_threshold", "midwatch_objective")
_MINUTES = re.compile(r"\d+[mhd]")
_URL_BYTES = re.compile(r"\s")
_ANNOTATIONS = ("summary", "description", "runbook_url", "dashboard_url")


def lint_rules(rules: RuleSet, catalog: Catalog, known: Known) -> list[str]:
    """Say everything that is wrong, each problem with the name of its rule."""
    known = known_after(rules, known)
    problems = list(_duplicates(rules))
    for rule in rules.rules:
        found = expression_problems(rule.expr, known)
        found += trap_problems(rule, rules, known)
        found += _alert(rule, rules, catalog, known) if rule.is_alert else _record(rule)
        problems += [f"{rule.name}: {problem}" for problem in found]
    return problems


def known_after(rules: RuleSet, known: Known) -> Known:
    """Add what the rules record, with the labels that follow from their expressions.

    Rules that record one name under different static labels are one series with all labels.
    """
    for rule in rules.rules:
        if not rule.is_alert:
            known = known.with_series(_recorded(rule, known))
    return known


def _recorded(rule: Rule, known: Known) -> Series:
    labels = labels_of(rule.expr, known)
    static = frozenset(rule.labels)
    before = known.series.get(rule.name)
    certain = labels.certain | static
    return Series(
        rule.name,
        counter=False,
        labels=labels.possible | static | (before.labels if before else frozenset()),
        certain=certain & before.certain if before else certain,
        recorded=True,
        filtered=always_compares(rule.expr) and (before is None or before.filtered),
    )


def _duplicates(rules: RuleSet) -> Iterator[str]:
    def key(rule: Rule, what: str) -> str:
        static = ", ".join(f"{name}={value}" for name, value in sorted(rule.labels.items()))
        return f"{what} ({static})" if static else what

    for what, counted in (
        ("two rules have this name", Counter(key(rule, rule.name) for rule in rules.rules)),
        (
            "two rules have this expression",
            Counter(key(rule, rule.expr.prettify()) for rule in rules.rules),
        ),
    ):
        for repeated, number in counted.items():
            if number > 1:
                yield f"{repeated}: {what}"


def _record(rule: Rule) -> list[str]:
    if _RECORD_NAME.match(rule.name):
        return []
    return ["a recorded series is called level:metric:operation"]


def _alert(rule: Rule, rules: RuleSet, catalog: Catalog, known: Known) -> list[str]:
    labels = labels_of(rule.expr, known)
    static = frozenset(rule.labels)
    problems = [] if _ALERT_NAME.match(rule.name) else ["an alert's name is CamelCase"]
    if not always_compares(rule.expr):
        problems.append("has a branch without a comparison: it fires on every sample")
    problems += _static_labels(rule, catalog)
    for label in sorted(catalog.identity_labels - static - labels.certain):
        problems.append(f"lacks label {label!r} on some machine; inhibitions compare it")
    problems += _annotations(rule, catalog, labels.possible | static | {"alertname"})
    problems += _threshold(rule, rules, catalog)
    problems += _reads(rule, rules)
    return problems


def _static_labels(rule: Rule, catalog: Catalog) -> Iterator[str]:
    for label, allowed in (("severity", catalog.severities), ("team", catalog.teams)):
        if rule.labels.get(label) not in allowed:
            yield f"label {label!r} is {rule.labels.get(label)!r}, not one of {sorted(allowed)}"
    for label, value in rule.labels.items():
        if "{{" in value:
            yield f"label {label!r} is a template: a label that changes starts the alert anew"
    in_haste = rule.patience is None or not _MINUTES.fullmatch(rule.patience)
    if rule.labels.get("severity") == "critical" and in_haste and rule.interval != "5s":
        yield "is critical, so its group says `interval: 5s`, unless it waits for minutes anyway"


def _annotations(rule: Rule, catalog: Catalog, labels: frozenset[str]) -> Iterator[str]:
    for name in _ANNOTATIONS:
        if not rule.annotations.get(name):
            yield f"has no {name}"
    for name, text in rule.annotations.items():
        for label in sorted(set(_TEMPLATE_LABEL.findall(text)) - labels):
            yield f"{name} speaks of label {label!r}, which the alert never has"
    if "{{" in rule.annotations.get("summary", ""):
        yield "summary is a template; what changes belongs into the description"
    if not re.search(r"\$value \| humanize", rule.annotations.get("description", "")):
        yield "description lacks the value in a form for people ({{ $value | humanize… }})"
    if rule.annotations.get("runbook_url") != f"{catalog.runbooks}/{rule.name}":
        yield f"runbook_url is not {catalog.runbooks}/{rule.name}"
    url = rule.annotations.get("dashboard_url", "")
    entry = catalog.alerts.get(rule.name)
    if entry and not url.startswith(f"{catalog.grafana}/d/{entry.dashboard}?"):
        yield f"dashboard_url does not open {catalog.grafana}/d/{entry.dashboard}"
    if entry and f"viewPanel={entry.panel}&" not in url:
        yield f"dashboard_url does not open panel {entry.panel}"
    if _URL_BYTES.search(re.sub(r"\{\{.*?\}\}", "", url, flags=re.DOTALL)):
        yield "dashboard_url has white space"


def _threshold(rule: Rule, rules: RuleSet, catalog: Catalog) -> Iterator[str]:
    entry = catalog.alerts.get(rule.name)
    if entry is None:
        yield "is not in the catalog"
    elif entry.tunable == "fixed":
        # Several rules of one name differ in how urgent they are; one of them has the threshold.
        same = [other for other in rules.alerts if other.name == rule.name]
        compared = {number for other in same for number in _compared_numbers(other.expr)}
        if entry.threshold not in compared:
            yield f"compares with {sorted(compared)}, the catalog says {entry.threshold:g}"
    elif rule.name not in _compared_thresholds(rule.expr):
        yield "compares with no threshold of its own, so the chart's values can not set it"
    elif f"midwatch_threshold:{'value' if entry.tunable == 'agent' else 'default'}" not in (
        rule.annotations.get("description", "")
    ):
        yield "description does not say its threshold, or not the one that holds for the agent"


def _compared_numbers(expr: promql.Expr) -> set[float]:
    return {
        side.val
        for node, _ in walk(expr)
        if isinstance(node, promql.BinaryExpr) and is_filter(node)
        for side in (node.lhs, node.rhs)
        if isinstance(side, promql.NumberLiteral)
    }


def _compared_thresholds(expr: promql.Expr) -> set[str]:
    """The alerts whose thresholds stand on the right of a comparison."""
    return {
        matcher.value
        for node, _ in walk(expr)
        if isinstance(node, promql.BinaryExpr) and is_filter(node)
        for part, _ in walk(node.rhs)
        if isinstance(part, promql.VectorSelector) and part.name in _THRESHOLDS
        for matcher in part.matchers.matchers
        if matcher.name == "alert"
    }


def _reads(rule: Rule, rules: RuleSet) -> Iterator[str]:
    names = [node.name for node, _ in walk(rule.expr) if isinstance(node, promql.VectorSelector)]
    for name in sorted({name for name in names if name in rules.records}):
        constant = any(word in name for word in _CONSTANTS)
        if not constant and rules.records[name].group != rule.group:
            yield f"reads {name} of another group: it would be one evaluation late"
    if any(_SHARE.search(name or "") for name in names) and not _has_traffic_guard(rule.expr):
        yield "relates without asking for a minimum of traffic"
    for node, _ in walk(rule.expr):
        if isinstance(node, promql.AggregateExpr) and str(node.op) in {"topk", "bottomk"}:
            yield f"{node.op} in an alert flaps"


def _has_traffic_guard(expr: promql.Expr) -> bool:
    return any(
        isinstance(node, promql.BinaryExpr)
        and operator(node) == ">="
        and isinstance(node.rhs, promql.NumberLiteral)
        and node.rhs.val >= 1
        and any(_TRAFFIC.search(getattr(part, "name", None) or "") for part, _ in walk(node.lhs))
        for node, _ in walk(expr)
    )
