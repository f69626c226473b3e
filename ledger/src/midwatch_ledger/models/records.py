"""Telemetry as it arrived: checked, in plain types, not yet mapped to tables."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ResourceRecord:
    """What emitted the telemetry; `id` is a digest of the attributes."""

    id: str
    attributes: dict[str, Any]

    @property
    def service(self) -> str:
        """The name of the service, or `unknown_service` as OpenTelemetry says."""
        return str(self.attributes.get("service.name") or "unknown_service")

    def __hash__(self) -> int:
        """By the id, which says what the attributes are."""
        return hash(self.id)


# Not frozen: a frozen one costs nearly twice as much to make, and one is made for every span.
@dataclass(slots=True)
class SpanRecord:
    """One span. Identified by trace id and span id."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    resource: ResourceRecord
    scope: str
    name: str
    kind: str
    start_unix_nanoseconds: int
    end_unix_nanoseconds: int
    status: str
    status_message: str | None
    attributes: dict[str, Any]
    events: list[dict[str, Any]]
    links: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One log record with an event name; `id` is a digest of all it says."""

    id: uuid.UUID
    name: str
    resource: ResourceRecord
    unix_nanoseconds: int
    trace_id: str | None
    span_id: str | None
    severity: str | None
    body: Any
    attributes: dict[str, Any]
