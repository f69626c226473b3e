"""Telemetry of somebody who is bound to a project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from midwatch_ledger.models import EventRecord, SpanRecord
from midwatch_ledger.models.boundary import DEFAULT_PROJECT
from midwatch_ledger.services import conventions as names
from midwatch_ledger.services import reading

Record = SpanRecord | EventRecord


def of_project(records: Sequence[Record], project: str) -> list[Record]:
    """Return the records of the project: those that name none become its own."""
    kept: list[Record] = []
    for record in records:
        named = reading.text(record.attributes, names.PROJECT) or reading.text(
            record.resource.attributes, names.PROJECT
        )
        if named == project:
            kept.append(record)
        elif named is None:
            marked = {**record.attributes, names.PROJECT[0]: project}
            kept.append(
                record if project == DEFAULT_PROJECT else replace(record, attributes=marked)
            )
    return kept
