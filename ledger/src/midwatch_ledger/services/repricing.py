"""Pricing history anew: jobs that go through the calls of a period, a part at a time.

Each part is one transaction, with the job's cursor in it: a job that was interrupted, by whatever,
goes on where it was, on any replica, and no call is counted twice.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.models.boundary import Origin
from midwatch_ledger.services.pricing import Cost, TableVersion, in_force
from midwatch_ledger.store import auditing, prices
from midwatch_ledger.store import repricing as store
from midwatch_ledger.store.database import Database, DatabaseUnavailableError

CALLS_AT_ONCE = 500
_MODELS_TOLD = 200
_OTHER_MODELS = "(others)"
_logger = logging.getLogger(__name__)
Record = dict[str, Any]


class RepricingRefusedError(Exception):
    """The job can't be begun; the text says why and what to change."""


@dataclass(frozen=True)
class Wanted:
    """Which calls are to be priced anew, and how.

    Attributes:
        table: the price table.
        start: calls that began from then on,
        end: and before that.
        version: the version to use for all of them; None takes for each call the version that was
            in force when it began.
        provider: only of this provider; None is all.
        model: only of this model.
        project: only of this project.
        dry_run: tell the difference and change nothing.
    """

    table: str
    start: datetime
    end: datetime
    version: str | None = None
    provider: str | None = None
    model: str | None = None
    project: str | None = None
    dry_run: bool = False


def begin(connection: Connection, wanted: Wanted, by: str, now: datetime) -> Record:
    """Keep a job, which `step` then works off; return it.

    Raises:
        RepricingRefusedError: there is no such table or version, or the period is empty.
    """
    if wanted.start >= wanted.end:
        raise RepricingRefusedError(
            f"the period ends ({wanted.end.isoformat()}) before it begins "
            f"({wanted.start.isoformat()}); give an end that is later"
        )
    _versions(connection, wanted.table, wanted.version)
    job: Record = {
        "id": uuid.uuid4(),
        "table_name": wanted.table,
        "table_version": wanted.version,
        "period_start": wanted.start,
        "period_end": wanted.end,
        "provider": wanted.provider,
        "model": wanted.model,
        "project": wanted.project,
        "dry_run": wanted.dry_run,
        "state": "waiting",
        "cursor_time": None,
        "cursor_id": None,
        **dict.fromkeys(("calls", "changed", "unmatched"), 0),
        **dict.fromkeys(("cost_before", "cost_after"), Decimal(0)),
        "by_model": [],
        "error": None,
        "created_by": by,
        "created_at": now,
        "updated_at": now,
        "finished_at": None,
    }
    store.add(connection, job)
    return job


def cancel(connection: Connection, identifier: uuid.UUID, now: datetime) -> Record | None:
    """End a job that isn't done; what it has changed stays. Return the job, None without one."""
    store.end(connection, identifier, now, state="cancelled")
    return store.find(connection, identifier)


def step(database: Database, now: datetime, *, calls_at_once: int = CALLS_AT_ONCE) -> bool:
    """Work off a part of the oldest unfinished job; return whether there was one.

    Raises:
        DatabaseUnavailableError: the database can't be used; the part is done again later.
    """
    with database.reading() as connection:
        if not store.waiting(connection):
            return False
    identifier: uuid.UUID | None = None
    try:
        with database.writing() as connection:
            job = store.take(connection)
            if job is None:
                return False
            identifier = job["id"]
            _work_off(connection, job, now, calls_at_once)
    except DatabaseUnavailableError:
        raise
    except Exception as error:
        if identifier is None:
            raise
        _logger.exception("pricing anew failed: job %s", identifier)
        told = f"{type(error).__name__}; the ledger's log says more"
        with database.writing() as connection:
            store.end(connection, identifier, now, state="failed", error=told)
    return True


def difference(job: Record) -> Decimal:
    """Return by how much the job makes its calls dearer."""
    more: Decimal = job["cost_after"] - job["cost_before"]
    return more


def _work_off(connection: Connection, job: Record, now: datetime, calls_at_once: int) -> None:
    versions = _versions(connection, job["table_name"], job["table_version"])
    calls, last = store.next_calls(connection, job, calls_at_once)
    tally = _Tally(job)
    changes = []
    for call in calls:
        version = versions[-1] if job["table_version"] else in_force(versions, call["start_time"])
        cost = None if version is None else version.cost(call)
        if tally.count(call, cost) and cost is not None:
            changes.append(_change(call, cost))
    if not job["dry_run"]:
        store.correct(connection, changes, now)
    if last is not None:
        cursor = {"cursor_time": last[0], "cursor_id": last[1]}
        told = {"state": "running", "updated_at": now, **cursor, **tally.columns()}
        store.change(connection, job["id"], **told)
        return
    store.end(connection, job["id"], now, state="done")
    if job["changed"] and not job["dry_run"]:
        origin = Origin(job["created_by"], "price history anew", str(job["id"]))
        auditing.record(connection, origin, now, {"llm_call_logs": job["changed"]})


def _versions(connection: Connection, table: str, version: str | None) -> list[TableVersion]:
    rows = prices.versions(connection, table)
    found = [row for row in rows if version in (None, row["version"])]
    if not found:
        known = ", ".join(row["version"] for row in rows)
        raise RepricingRefusedError(
            f"table {table!r} has no version {version!r}; it has {known}"
            if rows
            else f"there is no price table {table!r}; import it first"
        )
    return [TableVersion.of(row) for row in found]


def _change(call: Record, cost: Cost) -> Record:
    return {
        **{name: call[name] for name in ("id", "trace_id", "span_id", "start_time")},
        "input_cost": cost.input,
        "output_cost": cost.output,
        "total_cost": cost.total,
        "price_table": cost.table,
        "price_version": cost.version,
        "price_effective_date": cost.effective_date,
    }


class _Tally:
    """Counts what a job does, on top of what it has done."""

    def __init__(self, job: Record) -> None:
        names = ("calls", "changed", "unmatched", "cost_before", "cost_after")
        self._sums: Record = {name: job[name] for name in names}
        self._models: dict[tuple[str, str], Record] = {
            (row["provider"], row["model"]): {
                **row,
                "cost_before": Decimal(row["cost_before"]),
                "cost_after": Decimal(row["cost_after"]),
            }
            for row in job["by_model"]
        }

    def count(self, call: Record, cost: Cost | None) -> bool:
        """Count a call; return whether its row is to change."""
        before = call["total_cost"] or Decimal(0)
        # A call without a price keeps the cost that it has.
        after = before if cost is None else cost.total
        changed = cost is not None and any(
            call[name] != value for name, value in _change(call, cost).items()
        )
        for row in (self._sums, self._of_model(call)):
            row["calls"] += 1
            row["changed"] += changed
            row["unmatched"] += cost is None
            row["cost_before"] += before
            row["cost_after"] += after
        return changed

    def columns(self) -> Record:
        """Return what is kept of it."""
        rows = [
            {
                **row,
                "cost_before": f"{row['cost_before']:f}",
                "cost_after": f"{row['cost_after']:f}",
            }
            for row in self._models.values()
        ]
        return {**self._sums, "by_model": rows}

    def _of_model(self, call: Record) -> Record:
        key = (call["provider"], call["model"])
        if key not in self._models and len(self._models) >= _MODELS_TOLD:
            key = (_OTHER_MODELS, _OTHER_MODELS)
        zeros = dict.fromkeys(("calls", "changed", "unmatched"), 0)
        amounts = dict.fromkeys(("cost_before", "cost_after"), Decimal(0))
        return self._models.setdefault(
            key, {"provider": key[0], "model": key[1], **zeros, **amounts}
        )


def described(job: Record) -> Record:
    """Return a job as it is answered."""
    hidden = ("cursor_time", "cursor_id", "by_model")
    kept = {name: value for name, value in job.items() if name not in hidden}
    models: Sequence[Record] = [
        {
            **row,
            **(costs := {name: Decimal(row[name]) for name in ("cost_before", "cost_after")}),
            "difference": costs["cost_after"] - costs["cost_before"],
        }
        for row in job["by_model"]
    ]
    by_size = sorted(
        models, key=lambda row: (-abs(row["difference"]), row["provider"], row["model"])
    )
    return {
        **kept,
        "difference": difference(job),
        "done_until": job["cursor_time"],
        "by_model": by_size,
    }
