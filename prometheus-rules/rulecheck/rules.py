"""Rule files as objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import promql_parser as promql
import yaml


@dataclass(frozen=True)
class Rule:
    """A recording rule or an alert, with the group it stands in; `patience` is an alert's `for`."""

    name: str
    is_alert: bool
    text: str
    expr: promql.Expr
    group: str
    interval: str | None
    patience: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RuleSet:
    """All rules of a folder, in file order."""

    rules: tuple[Rule, ...]

    @property
    def alerts(self) -> tuple[Rule, ...]:
        """The alerts."""
        return tuple(rule for rule in self.rules if rule.is_alert)

    @property
    def records(self) -> dict[str, Rule]:
        """The recording rules by their names."""
        return {rule.name: rule for rule in self.rules if not rule.is_alert}


def parse_rules(text: str) -> RuleSet:
    """Read one rule file.

    Raises:
        ValueError: an expression does not parse; the rule is named.
    """
    return RuleSet(tuple(_rules_of(text)))


def load_rules(folder: Path) -> RuleSet:
    """Read every rule file of a folder.

    Raises:
        ValueError: an expression does not parse; the rule is named.
        FileNotFoundError: the folder holds no rule file.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise FileNotFoundError(f"no rule file (*.yaml) in {folder}")
    return RuleSet(
        tuple(rule for file in files for rule in _rules_of(file.read_text(encoding="utf-8")))
    )


def _rules_of(text: str) -> list[Rule]:
    found = []
    for group in yaml.safe_load(text)["groups"]:
        for entry in group["rules"]:
            name = entry.get("alert") or entry["record"]
            try:
                expr = promql.parse(entry["expr"])
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            found.append(
                Rule(
                    name=name,
                    is_alert="alert" in entry,
                    text=entry["expr"],
                    expr=expr,
                    group=group["name"],
                    interval=group.get("interval"),
                    patience=entry.get("for"),
                    labels=entry.get("labels", {}),
                    annotations=entry.get("annotations", {}),
                )
            )
    return found
