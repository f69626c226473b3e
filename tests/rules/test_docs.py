"""Runbooks and pages: complete, with queries that run and links that lead somewhere."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from midwatch.registry import EVENTS, METRICS
from rulecheck import Known, RuleSet, query_problems

DOCS = Path(__file__).resolve().parents[2] / "docs"
RUNBOOKS = sorted((DOCS / "runbooks").glob("*.md"))
GUIDES = [DOCS / "agent-observability-runbook.md", DOCS / "k8s-deployment-observability.md"]
PAGES = [*RUNBOOKS, *GUIDES, DOCS / "alerts.md"]
SECTIONS = [
    "Meaning",
    "Impact",
    "First look",
    "Likely causes, in order",
    "Mitigation",
    "Escalation",
]


def queries(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^ *```promql\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(query) for query in found]


def test_each_alert_has_a_runbook_and_each_runbook_an_alert(rules: RuleSet) -> None:
    assert {page.stem for page in RUNBOOKS} == {rule.name for rule in rules.alerts}


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_says_all_there_is_to_say(page: Path, rules: RuleSet) -> None:
    text = page.read_text(encoding="utf-8")
    alerts = [rule for rule in rules.alerts if rule.name == page.stem]
    severities = " or ".join(dict.fromkeys(rule.labels["severity"] for rule in alerts))
    assert text.startswith(f"# {page.stem}\n")
    assert f"Severity: {severities}. Team: {alerts[0].labels['team']}." in text
    for rule in alerts:
        assert rule.text.strip() in text, "the page shows another expression than the rule has"
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == SECTIONS
    bodies = re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]
    assert "```promql" in bodies[2], "the first look has no query"
    assert all(len(body.split()) >= 5 for body in bodies)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_query_runs_against_what_exists(page: Path, everything: Known) -> None:
    for query in queries(page):
        assert query_problems(query, everything) == [], query


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_alert_that_a_page_names_exists(page: Path, rules: RuleSet) -> None:
    alerts = {rule.name for rule in rules.alerts}
    named = set(
        re.findall(
            r"\b(?:Agent|Llm|Collector|Telemetry|Tracing|Trace|Spool|Ledger|Prometheus|Tempo)[A-Z]\w+",
            page.read_text("utf-8"),
        )
    )
    assert named <= alerts


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_link_to_a_section_of_a_runbook_finds_it(page: Path) -> None:
    for target, section in re.findall(r"\]\((\w+\.md)#([^)]+)\)", page.read_text(encoding="utf-8")):
        text = (page.parent / target).read_text(encoding="utf-8")
        assert section in {
            re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
        }, target


def rows(page: Path) -> dict[str, list[str]]:
    """The rows of a page's tables by the code in their first cell."""
    found: dict[str, list[str]] = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        code = re.match(r"`([^`]+)`", cells[0]) if cells else None
        if code:
            found[code.group(1)] = cells
    return found


def test_the_dictionary_has_each_metric_with_its_labels_meaning_and_alerts() -> None:
    table = rows(GUIDES[0])
    for metric in METRICS:
        _, labels, meaning, threshold = table[metric.prometheus_name]
        assert tuple(re.findall(r"`(\w+)`", labels)) == metric.attribute_names
        assert meaning
        assert threshold


def test_the_event_table_has_each_event_with_its_metadata() -> None:
    table = rows(GUIDES[0])
    for event in EVENTS:
        named = re.findall(r"`([\w.]+)`", table[event.name][1])
        assert named == [attribute.name for attribute in event.attributes], event.name


def test_the_dictionary_names_each_threshold_of_the_source_documents_alerts(
    rules: RuleSet,
) -> None:
    text = "".join(row[3] for row in rows(GUIDES[0]).values() if len(row) == 4)
    for name in (
        "AgentToolFailureRatioHigh",
        "AgentSelfRagEscalationSurge",
        "AgentGuardrailDenySurge",
        "AgentReadinessChatFailureCorrelation",
        "AgentHandoffLoop",
        "AgentRouteSkew",
    ):
        assert name in text
