"""Our linter finds what promtool lets through."""

from __future__ import annotations

import pytest
from rulecheck import Catalog, Known, lint_rules, parse_rules, query_problems

GOOD = """
groups:
  - name: g
    interval: 5s
    rules:
      - record: service:chat_requests:increase30s
        expr: label_replace(label_replace(sum by (k8s_namespace_name, service_namespace, service_name) (increase(chat_requests_total[30s])), "k8s_namespace_name", "none", "k8s_namespace_name", ""), "service_namespace", "none", "service_namespace", "")
      - record: service:chat_failures:ratio_increase30s
        expr: label_replace(label_replace(sum by (k8s_namespace_name, service_namespace, service_name) (increase(chat_failures_total[30s])), "k8s_namespace_name", "none", "k8s_namespace_name", ""), "service_namespace", "none", "service_namespace", "") / (service:chat_requests:increase30s > 0)
      - alert: AgentReadinessChatFailureCorrelation
        expr: EXPRESSION
        labels: {severity: critical, team: agents, agent: all}
        annotations:
          summary: Chats fail.
          description: "{{ $value | humanizePercentage }} of the chats of {{ $labels.service_name }} fail (threshold SAID)."
          runbook_url: https://midwatch.dev/runbooks/AgentReadinessChatFailureCorrelation
          dashboard_url: https://grafana.midwatch.invalid/d/midwatch-agent?viewPanel=11&from=now-1h&to=now
"""  # noqa: E501  (a rule file, not code)

THRESHOLD = 'alert:midwatch_threshold:default{alert="AgentReadinessChatFailureCorrelation"}'
EXPRESSION = (
    f"service:chat_failures:ratio_increase30s > on () group_left () {THRESHOLD}"
    " and service:chat_requests:increase30s >= 5"
)
SAID = "{{ query 'alert:midwatch_threshold:default' | first | value }}"
GOOD = GOOD.replace("EXPRESSION", EXPRESSION).replace("SAID", SAID)
THRESHOLDS = """
  - name: midwatch-thresholds
    rules:
      - record: alert:midwatch_threshold:default
        expr: vector(0.2)
        labels: {alert: AgentReadinessChatFailureCorrelation}
"""
GOOD += THRESHOLDS

BREAKAGES = {
    "no comparison": (EXPRESSION, "service:chat_requests:increase30s", "without a comparison"),
    "one branch without comparison": (
        EXPRESSION,
        f"{EXPRESSION} or service:chat_requests:increase30s",
        "without a comparison",
    ),
    "a comparison that only says true or false": (
        EXPRESSION,
        "service:chat_requests:increase30s > bool 0.2",
        "without a comparison",
    ),
    "value in a label": ("agent: all", 'agent: "{{ $value }}"', "is a template"),
    "unknown severity": ("severity: critical", "severity: page", "'severity' is 'page'"),
    "no team": ("team: agents, ", "", "label 'team' is None"),
    "no identity label": (", agent: all", "", "lacks label 'agent'"),
    "identity label that a laptop lacks": (
        '"service_namespace", "none", "service_namespace", "") / (',
        '"service_version", "none", "service_version", "") / (',
        "lacks label 'service_namespace'",
    ),
    "slow group of a critical alert": ("interval: 5s", "interval: 1m", "interval: 5s"),
    "no summary": ("summary: Chats fail.", 'summary: ""', "has no summary"),
    "template in the summary": ("Chats fail.", '"{{ $value }}"', "summary is a template"),
    "raw value": ("$value | humanizePercentage", "$value", "in a form for people"),
    "raw value beside a good one": (
        "chats of {{",
        "{{ $value }} chats of {{",
        "shows the value as it is",
    ),
    "label that does not exist": ("$labels.service_name", "$labels.pod", "label 'pod'"),
    "wrong runbook": ("runbooks/Agent", "runbooks/", "runbook_url is not"),
    "wrong dashboard": ("/d/midwatch-agent", "/d/other", "does not open"),
    "wrong panel": ("viewPanel=11", "viewPanel=12", "does not open panel 11"),
    "threshold of its own": (
        f"on () group_left () {THRESHOLD}",
        "0.2",
        "compares with no threshold of its own",
    ),
    "threshold of another": (
        'default{alert="AgentReadinessChatFailureCorrelation"}',
        'default{alert="LlmErrorRateHigh"}',
        "compares with no threshold of its own",
    ),
    "threshold not told": (SAID, "20%", "does not say its threshold"),
    "state of another value": (
        "alert: AgentReadinessChatFailureCorrelation\n        expr",
        "alert: ExportBreakerOpen\n        expr",
        "the catalog says 2",
    ),
    "absence without patience": (
        EXPRESSION,
        f"{EXPRESSION} or absent(up)",
        "absence without `for`",
    ),
    "gauge at one instant": (
        EXPRESSION,
        f"{EXPRESSION} and on (service_name) service_ready == 0",
        "reads the gauge service_ready at one instant",
    ),
    "quantile that can be NaN": (
        "increase(chat_requests_total[30s])",
        "histogram_quantile(0.9, rate(agent_turn_latency_seconds_bucket[30s]))",
        "a quantile of no calls is NaN",
    ),
    "not in the catalog": ("AgentReadinessChatFailureCorrelation", "AgentX", "not in the catalog"),
    "no minimum of traffic": (
        " and service:chat_requests:increase30s >= 5",
        "",
        "minimum of traffic",
    ),
    "unknown metric": ("chat_failures_total[", "chat_failure_total[", "'chat_failure_total'"),
    "unknown label": ("chat_failures_total[", 'chat_failures_total{route="x"}[', "label 'route'"),
    "aggregation by a label that is gone": (
        EXPRESSION,
        "sum by (k8s_pod_name) (service:chat_requests:increase30s) > 0.2",
        "by 'k8s_pod_name'",
    ),
    "division by zero": ("increase30s > 0)", "increase30s)", "0/0 is NaN"),
    "short window": ("chat_failures_total[30s]", "chat_failures_total[15s]", "over 15s"),
    "rate of a gauge": ("chat_failures_total[", "service_ready[", "no counter"),
    "counter without a rate": ("increase(chat_failures_total[30s])", "chat_failures_total", "rate"),
    "rate of a sum": (
        "increase(chat_failures_total[30s])",
        "increase(sum by (service_name) (chat_failures_total)[30s:5s])",
        "subquery",
    ),
    "record name without level": (
        "service:chat_failures:ratio_increase30s",
        "chat_failures_ratio",
        "level:metric:operation",
    ),
    "topk": (EXPRESSION, f"topk(1, {EXPRESSION})", "flaps"),
}


def lint(text: str, catalog: Catalog, known: Known) -> list[str]:
    return lint_rules(parse_rules(text), catalog, known)


def test_a_good_rule_file_has_no_problems(catalog: Catalog, known: Known) -> None:
    assert lint(GOOD, catalog, known) == []


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES.keys())
def test_each_mistake_is_named(
    breakage: tuple[str, str, str], catalog: Catalog, known: Known
) -> None:
    good, bad, said = breakage
    assert good in GOOD
    problems = lint(GOOD.replace(good, bad), catalog, known)
    assert any(said in problem for problem in problems), problems


def test_all_mistakes_are_named_at_once(catalog: Catalog, known: Known) -> None:
    bad = GOOD.replace("severity: critical", "severity: page").replace(SAID, "20%")
    assert len(lint(bad, catalog, known)) >= 2


def test_two_rules_of_one_name_are_named(catalog: Catalog, known: Known) -> None:
    rules = parse_rules(GOOD)
    twice = type(rules)(rules.rules + rules.rules[-2:-1])
    assert any("two rules have this name" in p for p in lint_rules(twice, catalog, known))


def test_rules_of_one_name_may_differ_in_their_labels(catalog: Catalog, known: Known) -> None:
    second = GOOD.replace("severity: critical", "severity: warning").replace(">= 5", ">= 6")
    alert = second[second.index("      - alert:") : second.index(THRESHOLDS)]
    both = GOOD.replace(THRESHOLDS, alert + THRESHOLDS)
    assert lint(both, catalog, known) == []


def test_a_critical_alert_that_waits_for_minutes_needs_no_haste(
    catalog: Catalog, known: Known
) -> None:
    slow = GOOD.replace("interval: 5s", "interval: 1m")
    patient = slow.replace(
        "        labels: {severity", "        for: 2m\n        labels: {severity"
    )
    assert lint(patient, catalog, known) == []


def test_an_alert_that_reads_what_another_group_records_is_late(
    catalog: Catalog, known: Known
) -> None:
    alert = GOOD.index("      - alert:")
    split = GOOD[:alert] + "  - name: other\n    interval: 5s\n    rules:\n" + GOOD[alert:]
    assert any("of another group" in problem for problem in lint(split, catalog, known))


def test_an_expression_that_does_not_parse_is_named_with_its_rule() -> None:
    with pytest.raises(ValueError, match="AgentReadinessChatFailureCorrelation"):
        parse_rules(GOOD.replace(EXPRESSION, "sum by ("))


def test_a_value_outside_the_closed_set_of_a_label_is_named(known: Known) -> None:
    problems = query_problems('rate(agent_tool_calls_total{status=~"error|fail"}[1m])', known)
    assert problems == ["agent_tool_calls_total never has status='fail'"]


@pytest.mark.parametrize(
    "query",
    [
        "agent_llm_requests_total unless last_over_time(agent_llm_requests_total[10m] offset 30s)",
        "histogram_quantile(0.95, sum by (le, tool) (rate(agent_tool_latency_seconds_bucket[1m])))",
        'sum(rate({__name__=~"otelcol_exporter_sent_spans(_total)?"}[1m]))',
        "service_ready == 0",
    ],
)
def test_a_sound_query_has_no_problems(query: str, known: Known) -> None:
    assert query_problems(query, known) == []


def test_a_pattern_of_names_that_matches_nothing_is_named(known: Known) -> None:
    problems = query_problems('rate({__name__=~"otelcol_exporter_snt_.*"}[1m])', known)
    assert problems == ["no series is called 'otelcol_exporter_snt_.*'"]
