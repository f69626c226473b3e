"""Pieces of PromQL that many panels use, and what all boards have: namespace, marks."""

from __future__ import annotations

from builders.spec import Annotation, Query, Variable

NS = 'k8s_namespace_name=~"$namespace"'
SERVICE = f'{NS},service_name=~"$service"'
AGENT = f'{SERVICE},agent=~"$agent"'
RATE = "[$__rate_interval]"
RANGE = "[$__range]"

NAMESPACE = Variable(
    "namespace",
    "Namespace",
    "label_values(agent_turns_total, k8s_namespace_name)",
    "Kubernetes namespace; All also shows what runs outside of Kubernetes.",
)
SERVICES = Variable(
    "service",
    "Service",
    f"label_values(agent_invocations_total{{{NS}}}, service_name)",
    "The service that the agents belong to.",
)
AGENTS = Variable(
    "agent",
    "Agent",
    f"label_values(agent_invocations_total{{{SERVICE}}}, agent)",
    "The agent; panels on turns, chats, routes and guardrails concern its whole service.",
)
MODELS = Variable(
    "model",
    "Model",
    f"label_values(agent_llm_requests_total{{{SERVICE}}}, model)",
    "The model as its provider calls it.",
)

_NEW_VERSION = "count by (service_name, service_version) (agent_invocations_total{{{0}}}{1})"


def marks(matchers: str) -> tuple[Annotation, ...]:
    """Marks on a board's graphs: alerts that fire, and versions of services that are new."""
    return (
        Annotation(
            "Alerts",
            'ALERTS{alertstate="firing",severity=~"critical|warning"}',
            "{{alertname}}",
            "{{severity}}: {{service_name}} {{agent}}",
            "red",
        ),
        Annotation(
            "Deployments",
            f"{_NEW_VERSION.format(matchers, '')} unless "
            f"{_NEW_VERSION.format(matchers, ' offset 5m')}",
            "{{service_name}} {{service_version}}",
            "First telemetry of this version for 5 minutes: it was deployed or came back.",
            "blue",
        ),
    )


def per_second(metric: str, by: str, matchers: str) -> str:
    """A counter's rate by labels."""
    return f"sum by ({by}) (rate({metric}{{{matchers}}}{RATE}))"


def in_range(metric: str, by: str, matchers: str) -> str:
    """What a counter gained in the time that the board shows, by labels."""
    by_labels = f" by ({by})" if by else ""
    return f"sum{by_labels} (increase({metric}{{{matchers}}}{RANGE}))"


def share(metric: str, by: str, matchers: str, part: str) -> str:
    """The share of a counter that `part` (more matchers) selects; 0 where there is none of it."""
    total = per_second(metric, by, matchers)
    return f"({per_second(metric, by, f'{matchers},{part}')} or 0 * {total}) / ({total} > 0)"


def quantile(metric: str, by: str, matchers: str, q: float = 0.95) -> str:
    """A quantile of a histogram, by labels."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{{matchers}}}{RATE})))"


def average(metric: str, by: str, matchers: str) -> str:
    """The mean of a histogram, by labels."""
    count = per_second(f"{metric}_count", by, matchers)
    return f"{per_second(f'{metric}_sum', by, matchers)} / ({count} > 0)"


def spread(metric: str, by: str, matchers: str, legend: str) -> tuple[Query, ...]:
    """95th percentile (with exemplars where they are), median and mean of durations."""
    return (
        Query(quantile(metric, by, matchers), f"{legend} p95", exemplar=metric.endswith("seconds")),
        Query(quantile(metric, by, matchers, 0.5), f"{legend} p50"),
        Query(average(metric, by, matchers), f"{legend} mean"),
    )
