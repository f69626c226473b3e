"""How a fact is recorded: never raising, once, on metric, event and span together."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import compress
from time import perf_counter
from typing import Concatenate, ParamSpec, TypeVar

from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.trace import SpanContext

from midwatch.instruments.meters import Instruments
from midwatch.instruments.reconcile import By
from midwatch.instruments.turn_state import Turn, current_turn
from midwatch.pipeline.clock import time_ns
from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.events import EventOrigin, EventRecord, EventSink, RawEvent, plain
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.present import span_in
from midwatch.pipeline.rendering import Family, RenderReader, render_families
from midwatch.pipeline.sampling_setup import Sampling
from midwatch.registry import EVENTS_BY_NAME, Event, Metric
from midwatch.registry.attributes import CALL_ID
from midwatch.registry.events import TURN_STARTED
from midwatch.registry.own_metrics import INTERNAL_ERRORS, OVERHEAD

SCOPE = "midwatch"
"""The instrumentation scope of Midwatch's own telemetry."""

_LASTING = frozenset({str, int, bool, float, Decimal, datetime})
"""Values that nobody can change: they need no copy to be written later."""
_is_given = functools.partial(operator.is_not, None)
_NO_IDS: Mapping[str, str] = {}

_Parameters = ParamSpec("_Parameters")
_Self = TypeVar("_Self", bound="Recording")


def fact(
    method: Callable[Concatenate[_Self, _Parameters], None],
) -> Callable[Concatenate[_Self, _Parameters], None]:
    """Make a method safe to call from an application: its failure is counted, its time measured."""
    where = f"recorder.{method.__name__}"

    @functools.wraps(method)
    def guarded(self: _Self, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        if not self.enabled:
            return
        started = perf_counter()
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            FAILURES.note(where, error)
        finally:
            self.spend(perf_counter() - started)

    return guarded


class Recording:
    """Writes to instruments, event sinks and the current span.

    Args:
        meter_provider: where the instruments are made.
        sinks: where events go.
        service: the service's name, as JSON lines give it.
        enabled: nothing is recorded otherwise.
        private: whether this is a copy for one reader, which leaves turns and spans to the
            recorder of the process.
        reader: reads what was recorded, for `render`; without one nothing is rendered.
    """

    def __init__(
        self,
        meter_provider: MeterProvider,
        sinks: Iterable[EventSink] = (),
        *,
        service: str = "",
        enabled: bool = True,
        private: bool = False,
        reader: RenderReader | None = None,
    ) -> None:
        self.enabled = enabled
        self._service = service
        self._private = private
        self.overhead_seconds = 0.0
        """The time that the shim has spent in the application."""
        self.content = ContentPolicy()
        self.sampling = Sampling()
        self.bind(meter_provider, sinks, service=service, reader=reader)

    def bind(
        self,
        meter_provider: MeterProvider,
        sinks: Iterable[EventSink],
        *,
        service: str,
        reader: RenderReader | None,
    ) -> None:
        """Record on this provider and these sinks from now on."""
        self._reader = reader
        meter = meter_provider.get_meter(SCOPE)
        self._sinks = tuple(sinks)
        self._service = service
        self._instruments = Instruments(meter, lambda label: self.content.scrub(label))
        self._observe_self(meter)

    def families(self, namespace: str, prefixes: Sequence[str]) -> list[Family]:
        """What was recorded as Prometheus text, one item for each metric that has values."""
        if self._reader is None:
            return []
        return render_families(self._reader.get_metrics_data(), namespace, prefixes)

    def values(self) -> MetricsData | None:
        """What was recorded, as the reader has it."""
        return None if self._reader is None else self._reader.get_metrics_data()

    @property
    def captures_content(self) -> bool:
        """Whether prompts and answers may leave the process in any form."""
        return self.content.captures

    def spend(self, seconds: float) -> None:
        """Add to the time that the shim has spent in the application."""
        # Without a lock: threads may lose each other's additions, of some microseconds each.
        self.overhead_seconds += seconds
        turn = current_turn()
        if turn is not None:
            turn.overhead_seconds += seconds

    def _keep_trace(self) -> None:
        """The trace of the current span must not be missed, whatever becomes of its sampling."""
        if not self._private:
            self.sampling.keep(span_in().get_span_context())

    def _turn(self) -> Turn | None:
        return None if self._private else current_turn()

    def _count(
        self, by: By, metric: Metric, *labels: str, known_by: Sequence[str] | None = None
    ) -> bool:
        """Count a fact unless the other reporter has; returns whether it was counted.

        `known_by` are the labels that tell one fact from another, where it is not all of them.
        """
        return self._count_in(self._turn(), by, metric, labels, known_by)

    def _count_in(
        self,
        turn: Turn | None,
        by: By,
        metric: Metric,
        labels: tuple[str, ...],
        known_by: Sequence[str] | None = None,
    ) -> bool:
        """The same in a turn that was looked up."""
        if turn is not None:
            names, values = metric.attribute_names, labels
            if known_by is not None:
                values = tuple(labels[names.index(name)] for name in known_by)
                names = tuple(known_by)
            if not turn.facts.is_new(by, metric.name, names, values):
                return False
        self._instruments.put(metric, 1, labels)
        return True

    def _emit(
        self,
        by: By,
        event: Event,
        metadata: Mapping[str, object],
        *,
        on_span: bool = True,
        ids: Mapping[str, str] | None = None,
        known_by: Sequence[str] | None = None,
    ) -> None:
        """Write an event unless the other reporter has, absent values left out."""
        running = current_turn()
        turn = None if self._private else running
        if turn is not None:
            # Without an identity two events of one name cannot be told apart: none is left out.
            names = event.identity if known_by is None else known_by
            if event.identity and not turn.facts.is_new(
                by, event.name, names, [_text(metadata.get(name)) for name in names]
            ):
                return
            if not turn.announced:
                self._announce(turn)
        span = span_in()
        values = _lasting(metadata)
        record = self._record(event, values, ids or _NO_IDS, span.get_span_context(), running)
        for sink in self._sinks:
            sink.write(record)
        if self._private or not (on_span or ids) or not span.is_recording():
            return
        if ids and record.call_id:
            span.set_attribute(CALL_ID.name, record.call_id)
        if on_span:
            span.add_event(event.name, {name: _flat(value) for name, value in values.items()})

    def _announce(self, turn: Turn, metadata: Mapping[str, object] | None = None) -> None:
        """Write the beginning of a turn, once, as of when and where it began."""
        if not turn.announce():
            return
        span = turn.span.get_span_context()
        values = {name: plain(value) for name, value in (metadata or {}).items()}
        record = self._record(TURN_STARTED, values, _NO_IDS, span, turn, turn.began_ns)
        for sink in self._sinks:
            sink.write(record)

    def _record(
        self,
        event: Event,
        values: Mapping[str, object],
        ids: Mapping[str, str],
        span: SpanContext,
        turn: Turn | None,
        at_ns: int | None = None,
    ) -> EventRecord:
        session_id, turn_id = ("", "") if turn is None else (turn.session_id, turn.turn_id)
        trace_id = ""
        if ids:
            session_id = ids.get("session_id") or session_id
            turn_id = ids.get("turn_id") or turn_id
            trace_id = ids.get("trace_id", "")
        origin = EventOrigin(span, session_id, turn_id, trace_id, self._service)
        return RawEvent(event.name, values, origin, self.content, at_ns or time_ns())

    def _observe_self(self, meter: Meter) -> None:
        meter.create_observable_counter(
            OVERHEAD.name, [self._overhead], OVERHEAD.unit, OVERHEAD.description
        )
        meter.create_observable_counter(
            INTERNAL_ERRORS.name, [_failures], INTERNAL_ERRORS.unit, INTERNAL_ERRORS.description
        )

    def _overhead(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(self.overhead_seconds)]


def _lasting(metadata: Mapping[str, object]) -> Mapping[str, object]:
    """What is not None, in a copy of which nobody changes anything."""
    # Without a step of the interpreter for each of the two dozen values of a model call.
    given = dict(compress(metadata.items(), map(_is_given, metadata.values())))
    if _LASTING.issuperset(map(type, given.values())):
        return given
    return {
        name: value if type(value) in _LASTING else plain(value) for name, value in given.items()
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def event_of(name: str) -> Event:
    """The registry's event of that name, or an event without declared metadata."""
    return EVENTS_BY_NAME.get(name) or Event(name, "An event of the application.")


def _failures(_: CallbackOptions) -> Iterable[Observation]:
    (where,) = INTERNAL_ERRORS.attribute_names
    return [Observation(count, {where: part}) for part, count in FAILURES.counts().items()]


def _flat(value: object) -> str | bool | int | float:
    return value if isinstance(value, str | bool | int | float) else str(value)
