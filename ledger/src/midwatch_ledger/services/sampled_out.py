"""Spans that were sampled out: the shim tells of each by an event, and that is a span here.

A turn is in the ledger whether or not its trace was sampled; all that is derived from spans is
derived from these as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from midwatch.registry import span_attributes as told
from midwatch.registry.events import SPAN_SAMPLED_OUT

from midwatch_ledger.models import EventRecord, SpanRecord
from midwatch_ledger.services import reading

_OF_THE_SPAN = frozenset(attribute.name for attribute in SPAN_SAMPLED_OUT.attributes)
_SPAN_ID_LENGTH = 16


def as_spans(records: Sequence[EventRecord]) -> list[EventRecord | SpanRecord]:
    """Return the records, with a span in place of each event that tells of one."""
    return [_span(record) or record for record in records]


def _span(event: EventRecord) -> SpanRecord | None:
    """Return the span that the event tells of; None if it tells of none, or not enough."""
    if event.name != SPAN_SAMPLED_OUT.name or event.trace_id is None or event.span_id is None:
        return None
    found = event.attributes
    started = reading.count(found, (told.SPAN_STARTED.name,))
    if not started:
        return None
    status = reading.text(found, (told.SPAN_STATUS.name,))
    kept = {name: value for name, value in found.items() if name not in _OF_THE_SPAN}
    return SpanRecord(
        trace_id=event.trace_id,
        span_id=event.span_id,
        parent_span_id=_parent(reading.text(found, (told.SPAN_PARENT.name,))),
        resource=event.resource,
        scope="",
        name=reading.text(found, (told.SPAN_NAME.name,)) or "unknown",
        kind=reading.text(found, (told.SPAN_KIND.name,)) or "unspecified",
        start_unix_nanoseconds=started,
        end_unix_nanoseconds=max(started, reading.count(found, (told.SPAN_ENDED.name,)) or 0),
        status=status if status in told.SPAN_STATUS.values else "unset",
        status_message=reading.text(found, (told.SPAN_STATUS_MESSAGE.name,)),
        attributes={**kept, told.SAMPLED_OUT.name: True},
        events=[],
        links=[],
    )


def _parent(span_id: str | None) -> str | None:
    return span_id if span_id is not None and len(span_id) == _SPAN_ID_LENGTH else None
