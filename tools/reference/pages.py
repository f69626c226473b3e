"""The pages: each a function of what is declared, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from manifests.outputs import Output
from midwatch.config import SETTING_GROUPS, Setting
from midwatch.config.reading import declared
from midwatch.registry import EVENTS, METRICS, RESOURCE_ATTRIBUTES, SPAN_ATTRIBUTES
from midwatch.registry.metrics import AGENT_METRICS
from midwatch.registry.model import OVERFLOW_VALUE, Attribute, Event, Instrument, Metric
from midwatch.startup import DEFAULTS

from reference import ledger_api, ledger_tables
from reference.index import index_page

_KINDS = {
    Instrument.COUNTER: "counter",
    Instrument.UP_DOWN_COUNTER: "gauge (up-down counter)",
    Instrument.GAUGE: "gauge",
    Instrument.HISTOGRAM: "histogram",
}


def pages(root: Path) -> Output:
    """Every page that is derived, and the index of the shim's pages."""
    folder = root / "docs" / "reference"
    made = {
        "metrics.md": metrics_page(),
        "events.md": events_page(),
        "span-attributes.md": span_attributes_page(),
        "settings.md": settings_page(),
    }
    files = {folder / name: text for name, text in made.items()}
    shim = root / "docs" / "shim"
    ledger = root / "docs" / "ledger"
    return Output(
        {
            **files,
            shim / "README.md": index_page(shim, files),
            ledger / "api.md": ledger_api_page(),
            ledger / "data-dictionary.md": ledger_tables_page(),
        }
    )


def ledger_api_page() -> str:
    """The ledger's routes."""
    source = "ledger/src/midwatch_ledger/api"
    return _page("The ledger's API", source, ledger_api.blocks(ledger_api.document()))


def ledger_tables_page() -> str:
    """The ledger's tables."""
    source = "ledger/src/midwatch_ledger/models"
    return _page("The ledger's tables", source, ledger_tables.blocks())


def metrics_page() -> str:
    """Metrics, with their labels and the bounds of these."""
    ours = [metric for metric in METRICS if metric not in AGENT_METRICS]
    resource = ", ".join(f"`{one.name.replace('.', '_')}`" for one in RESOURCE_ATTRIBUTES)
    return _page(
        "Metrics",
        "shim/src/midwatch/registry",
        [
            "Every metric, with its labels and their bounds. "
            "Names are those that Prometheus stores. On an application's own `/metrics` they have "
            "the prefix that `AGENT_METRICS_NAMESPACE` sets. Histograms have `_bucket`, `_sum` and "
            f"`_count`. A label whose bound is reached gets the value `{OVERFLOW_VALUE}`, and "
            "`midwatch_label_overflow_total` counts it.",
            f"Every series also has, from its resource: {resource}.",
            "## Agents and models",
            *map(_metric, AGENT_METRICS),
            "## The service, budgets and Midwatch itself",
            *map(_metric, ours),
        ],
    )


def _metric(metric: Metric) -> str:
    kind = _KINDS[metric.instrument]
    lines = [
        f"### `{metric.prometheus_name}`",
        "",
        f"{metric.description} {kind.capitalize()}; OpenTelemetry name `{metric.name}`, unit "
        f"`{metric.unit}`; {metric.stability}; from {metric.origin}.",
    ]
    if metric.attributes:
        lines += ["", *_attributes("label", metric.attributes)]
    if metric.buckets:
        lines += ["", "Buckets: " + ", ".join(f"{bound:g}" for bound in metric.buckets) + "."]
    return "\n".join(lines)


def events_page() -> str:
    """Events, with what their metadata holds."""
    return _page(
        "Events",
        "shim/src/midwatch/registry/events.py",
        [
            "Every event, with what its metadata holds. "
            "Each is an OpenTelemetry log record with an event name, and a line of JSON in "
            "the file that `AGENT_TRACE_JSONL_PATH` names. A line has `ts`, `event`, `trace_id`, "
            "`span_id`, `session_id`, `turn_id`, `service` and `metadata`; the tables say what "
            "`metadata` may hold. What is not known is left out.",
            *map(_event, EVENTS),
        ],
    )


def _event(event: Event) -> str:
    lines = [
        f"## `{event.name}`",
        "",
        f"{event.description} {event.stability.capitalize()}; from {event.origin}.",
    ]
    if event.attributes:
        lines += ["", *_attributes("metadata", event.attributes)]
    return "\n".join(lines)


def span_attributes_page() -> str:
    """Attributes of spans and of log records."""
    return _page(
        "Attributes of spans",
        "shim/src/midwatch/registry/span_attributes.py",
        [
            "What Midwatch writes on spans and log records beside OpenTelemetry's own conventions. "
            "They are never labels of metrics.",
            "\n".join(_attributes("attribute", SPAN_ATTRIBUTES)),
        ],
    )


def settings_page() -> str:
    """Variables of the environment."""
    defaults = [f"| `{name}` | `{value}` |" for name, value in DEFAULTS.items()]
    return _page(
        "Settings",
        "shim/src/midwatch/config",
        [
            "Every setting, with its default and what is allowed. "
            "All are variables of the environment. A wrong value stops nothing: its default is "
            "used, all wrong values are logged together when the program starts, and "
            "`midwatch doctor` exits with 1. An empty value counts as unset.",
            *(f"## {title}\n\n{_settings(owner)}" for title, owner in SETTING_GROUPS.items()),
            "## OpenTelemetry's own",
            "The standard `OTEL_*` variables mean what OpenTelemetry says. Where they are unset, "
            "Midwatch sets:",
            "\n".join(["| variable | default |", "| --- | --- |", *defaults]),
        ],
    )


def _settings(owner: type[object]) -> str:
    rows = [_setting(one) for _, one in declared(owner)]
    head = ["| variable | default | allowed | meaning | from |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows])


def _setting(one: Setting) -> str:
    default = one.default_shown
    quoted = default if default == "none" or "`" in default else f"`{default}`"
    secret = " A secret: it is never shown." if one.secret else ""
    return _row(f"`{one.variable}`", quoted, one.kind.allowed, one.description + secret, one.origin)


def _attributes(kind: str, attributes: Sequence[Attribute]) -> Iterable[str]:
    yield f"| {kind} | meaning | values |"
    yield "| --- | --- | --- |"
    for attribute in attributes:
        yield _row(f"`{attribute.name}`", attribute.description, _values(attribute))


def _values(attribute: Attribute) -> str:
    known = ", ".join(f"`{value}`" for value in attribute.values)
    if attribute.max_values is None:
        return known or "any"
    bound = f"at most {attribute.max_values}"
    return f"{known} and others, {bound}" if known else bound


def _row(*cells: str) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _page(title: str, source: str, blocks: Sequence[str]) -> str:
    first = f"<!-- Generated by `make reference` from {source}; do not edit. -->"
    return "\n\n".join([first, f"# {title}", *blocks]) + "\n"
