"""What the shim really records is what the registry says, in every detail."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import midwatch
import midwatch_ledger
import pytest
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.rendering import RenderReader, local_meter_provider
from midwatch.registry import (
    EVENTS_BY_NAME,
    METRICS,
    OVERFLOW_VALUE,
    SPAN_ATTRIBUTES,
    Instrument,
    Stability,
)
from midwatch.registry.own_metrics import INSTRUMENTED
from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum

BY_NAME = {metric.name: metric for metric in METRICS}
KINDS: dict[Instrument, Any] = {
    Instrument.COUNTER: Sum,
    Instrument.UP_DOWN_COUNTER: Sum,
    Instrument.GAUGE: Gauge,
    Instrument.HISTOGRAM: Histogram,
}
CONVENTIONS = {"session.id", "gen_ai.conversation.id", "gen_ai.agent.name", "user.hash"}
"""Names of OpenTelemetry's conventions that Midwatch's records are found by."""
RECORDED_ELSEWHERE = {
    "agent.budget_usd": "the ledger",
    "agent.budget.spent_usd": "the ledger",
    "midwatch.ledger.ingested": "the ledger",
    "midwatch.ledger.rejected": "the ledger",
    "midwatch.ledger.lag": "the ledger",
    "midwatch.ledger.request.latency": "the ledger",
    "midwatch.ledger.stale_minutes": "the ledger",
    "midwatch.ledger.live_clients": "the ledger",
    "midwatch.ledger.alert.unacknowledged_since_timestamp": "the ledger",
    "midwatch.spans": "the pipeline, see the tests of its account",
    "midwatch.instrumented": "the loader, see the tests of running from outside",
    "midwatch.internal.errors": "only after a failure, see the tests of the recorder",
    "midwatch.delivery.items": "the pipeline, see the tests of delivery",
    "midwatch.spool": "the pipeline, see the tests of delivery",
    "midwatch.export.breaker_state": "the pipeline, see the tests of delivery",
    "midwatch.sampling_ratio": "the pipeline, see the tests of sampling",
    "midwatch.redactions": "the pipeline, see the tests of content",
}


class MemorySink:
    def __init__(self) -> None:
        self.records: list[Any] = []

    def write(self, record):
        self.records.append(record)


@pytest.fixture
def recorded(everything):
    reader, sink = RenderReader(), MemorySink()
    everything(Recorder(local_meter_provider(reader), [sink], reader=reader))
    data = reader.get_metrics_data()
    assert data is not None
    found: dict[str, Any] = {
        metric.name: metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    return found, sink.records


def test_each_recorded_metric_is_as_declared(recorded):
    for name, found in recorded[0].items():
        declared = BY_NAME[name]
        assert (found.unit, found.description) == (declared.unit, declared.description)
        assert isinstance(found.data, KINDS[declared.instrument])
        if isinstance(found.data, Sum):
            assert found.data.is_monotonic is (declared.instrument is Instrument.COUNTER)
        for point in found.data.data_points:
            assert tuple(point.attributes) == declared.attribute_names
            if declared.buckets:
                assert tuple(point.explicit_bounds) == declared.buckets


def test_each_recorded_label_value_is_allowed(recorded):
    for name, found in recorded[0].items():
        for attribute in BY_NAME[name].attributes:
            values = {point.attributes[attribute.name] for point in found.data.data_points}
            if attribute.closed:
                assert values <= {*attribute.values, OVERFLOW_VALUE}
            else:
                assert len(values - {OVERFLOW_VALUE}) <= (attribute.max_values or 0)


def test_each_declared_metric_is_recorded_or_has_a_reason(recorded):
    assert set(BY_NAME) - set(recorded[0]) - set(RECORDED_ELSEWHERE) == set()


def test_each_recorded_event_is_as_declared(recorded):
    for record in recorded[1]:
        declared = {attribute.name for attribute in EVENTS_BY_NAME[record.event].attributes}
        assert set(record.metadata) <= declared, record.event


def test_each_declared_event_is_recorded_or_told_by_ledger_or_sampling(recorded):
    told_by_others = {"budget.exceeded", "span.sampled_out"}
    assert set(EVENTS_BY_NAME) - {record.event for record in recorded[1]} == told_by_others


def strays(is_stray: Callable[[str], bool]) -> list[str]:
    """Where the shim and the ledger write such a text themselves."""
    found = []
    for package in (midwatch, midwatch_ledger):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            # A migration stays as it was written, whatever names are later.
            if {root / "registry", root / "store" / "migrations"} & set(path.parents):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                    continue
                if is_stray(node.value):
                    found.append(f"{path.relative_to(root.parent)}:{node.lineno}: {node.value!r}")
    return found


def test_no_name_of_a_metric_or_an_event_is_written_outside_the_registry():
    names = {*BY_NAME, *EVENTS_BY_NAME} - {"handoff"}
    names |= {metric.prometheus_name for metric in METRICS}
    assert _but_of_injection(strays(names.__contains__)) == []


def test_no_attribute_of_midwatchs_own_is_written_outside_the_registry():
    def is_stray(text: str) -> bool:
        return bool(re.fullmatch(r"midwatch(\.[a-z_]+)+", text)) and not is_module(text)

    assert _but_of_injection(strays(is_stray)) == []


def _but_of_injection(found: list[str]) -> list[str]:
    """Those that are not told where the shim stands down before it can import anything."""
    told = f"{INSTRUMENTED.name!r}"
    return [
        one
        for one in found
        if not (one.startswith("midwatch/injection/standing_down.py") and one.endswith(told))
    ]


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_each_attribute_is_described_and_declared_once():
    names = [attribute.name for attribute in SPAN_ATTRIBUTES]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Z].*\.", one.description) for one in SPAN_ATTRIBUTES)
    assert all(one.stability in Stability for one in SPAN_ATTRIBUTES)
    ours = {name for name in names if name.startswith("midwatch.")}
    assert set(names) - ours == CONVENTIONS
