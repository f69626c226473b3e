"""Checks of rules and queries that promtool lets through.

`lint_rules(load_rules(folder), catalog, known)` says all that is wrong with a set of rule files;
`query_problems(text, known)` says it of one query, be it of a dashboard or of a page of the docs.
"""

from __future__ import annotations

from rulecheck.catalog import AlertEntry, Catalog, load_catalog
from rulecheck.known import Known, Series, load_known
from rulecheck.lint import known_after, lint_rules
from rulecheck.queries import query_problems
from rulecheck.rules import Rule, RuleSet, load_rules, parse_rules

__all__ = [
    "AlertEntry",
    "Catalog",
    "Known",
    "Rule",
    "RuleSet",
    "Series",
    "known_after",
    "lint_rules",
    "load_catalog",
    "load_known",
    "load_rules",
    "parse_rules",
    "query_problems",
]
