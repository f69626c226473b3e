"""Everything that is derived, by path."""

from __future__ import annotations

from pathlib import Path

from rulecheck.catalog import Catalog, load_catalog
from rulecheck.rules import RuleSet, parse_rules

from rulegen.dictionary import guide
from rulegen.escalations import escalation_file
from rulegen.reference import alerts_page
from rulegen.runbooks import runbooks
from rulegen.slos import Slos, load_slos, slo_file
from rulegen.thresholds import thresholds_file

THRESHOLDS, SLO, ESCALATION = "thresholds.rules.yaml", "slo.rules.yaml", "escalation.rules.yaml"


def outputs(root: Path) -> dict[Path, str]:
    """Text by path of every derived file below the repository's root.

    Raises:
        SlosError: the SLOs contradict the registry.
        RunbookError: a runbook lacks the marks of its generated part.
        GuideError: the on-call guide lacks the marks of a generated table.
        ValueError: a rule does not parse.
    """
    folder = root / "prometheus-rules"
    catalog, slos = load_catalog(folder / "catalog.yaml"), load_slos(folder / "slos.yaml")
    files = rule_files(folder, catalog, slos)
    rules = RuleSet(tuple(rule for text in files.values() for rule in parse_rules(text).rules))
    derived = {path: text for path, text in files.items() if path.name in _NAMES}
    derived |= runbooks(root / "docs" / "runbooks", rules, catalog)
    benchmarks = root / "docs" / "benchmarks"
    derived[root / "docs" / "alerts.md"] = alerts_page(rules, catalog, slos, benchmarks)
    page = root / "docs" / "agent-observability-runbook.md"
    derived[page] = guide(page.read_text(encoding="utf-8"), rules, catalog)
    return derived


_NAMES = frozenset({THRESHOLDS, SLO, ESCALATION})


def rule_files(folder: Path, catalog: Catalog, slos: Slos) -> dict[Path, str]:
    """All rule files: those written by hand as they are, the others as they follow from them."""
    rules = folder / "rules"
    files = {
        path: path.read_text(encoding="utf-8")
        for path in sorted(rules.glob("*.yaml"))
        if path.name not in _NAMES
    }
    files[rules / SLO] = slo_file(slos, catalog)
    critical = RuleSet(tuple(rule for text in files.values() for rule in parse_rules(text).rules))
    files[rules / ESCALATION] = escalation_file(critical, catalog)
    files[rules / THRESHOLDS] = thresholds_file(catalog, slos)
    return dict(sorted(files.items()))
