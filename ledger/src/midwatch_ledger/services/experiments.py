"""Experiments with prompts: which there are, and how their variants did beside the control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from midwatch.prompts.labels import Assignment, assignment
from sqlalchemy import Connection

from midwatch_ledger.services import comparison, performance
from midwatch_ledger.services.comparison import Side
from midwatch_ledger.services.flows import ratio
from midwatch_ledger.store import experiments as store

Record = dict[str, Any]

MOST_CHANGES = 10_000
_FINE_FOR = timedelta(hours=48)
"""For so long minutes are the clusters of the means, then hours."""

_KINDS = ("llm_call", "prompt_turn", "prompt_outcome", "prompt_feedback")


class UnknownExperimentError(Exception):
    """The label stands for no experiment and never did."""


@dataclass(frozen=True)
class Experiment:
    """An experiment of a label, from when to when; weights may have changed meanwhile."""

    prompt: str
    label: str
    assigned: Assignment
    started_at: datetime
    ended_at: datetime | None
    changed_by: str

    def control(self, wanted: str | None = None) -> str:
        """Return the variant that others are compared with: the wanted, `control`, the heaviest."""
        names = [variant.name for variant in self.assigned.variants]
        for name in (wanted, "control"):
            if name in names:
                return str(name)
        return max(self.assigned.variants, key=lambda variant: variant.weight).name

    def version(self, name: str) -> str:
        """Return the version that a variant's sessions get."""
        return next(one.version for one in self.assigned.variants if one.name == name)


@dataclass(frozen=True)
class Arm:
    """What is known of one variant, by kind of sums."""

    name: str
    sides: dict[str, Side]

    @property
    def uses(self) -> int:
        """How many model calls were made with it."""
        return self.sides["llm_call"].count

    def share(self, kind: str, wanted: str) -> tuple[int, int]:
        """Return how many of those that are known completed or failed did so, and how many are."""
        rows = self.sides[kind].buckets
        known = sum(int(row["count"]) for row in rows if row["status"])
        return sum(int(row["count"]) for row in rows if row["status"] == wanted), known


def listed(connection: Connection) -> list[Experiment]:
    """Return the newest experiment of each label that ever had one."""
    changes = store.label_changes(connection, MOST_CHANGES)
    found = []
    for _, group in groupby(changes, key=lambda row: (row["prompt"], row["label"])):
        newest = _newest(list(group))
        if newest is not None:
            found.append(newest)
    return found


def find(connection: Connection, prompt: str, label: str) -> Experiment:
    """Return the newest experiment of a label.

    Raises:
        UnknownExperimentError: there is none.
    """
    for experiment in listed(connection):
        if (experiment.prompt, experiment.label) == (prompt, label):
            return experiment
    raise UnknownExperimentError(
        f"label {label!r} of prompt {prompt!r} has no experiment; give it variants with "
        f"PUT /prompts/{prompt}/labels/{label}"
    )


def arms(connection: Connection, experiment: Experiment, now: datetime) -> list[Arm]:
    """Return what is known of each variant since the experiment began."""
    period = experiment.started_at, max(experiment.ended_at or now, experiment.started_at)
    found = []
    for variant in experiment.assigned.variants:
        equal = {
            "prompt": experiment.prompt,
            "prompt_version": variant.version,
            "label": experiment.label,
            "variant": variant.name,
        }
        sides = {
            kind: comparison.read(
                connection,
                performance.question(
                    kind,
                    *period,
                    resolution="minute" if period[1] - period[0] <= _FINE_FOR else "hour",
                    equal=equal,
                    group_by=("status",),
                    over_time=True,
                ),
            )
            for kind in _KINDS
        }
        found.append(Arm(variant.name, sides))
    return found


def results(
    connection: Connection, experiment: Experiment, control: str | None, now: datetime, level: float
) -> Record:
    """Return how each variant did, and how surely it differs from the control."""
    known = arms(connection, experiment, now)
    first = next(arm for arm in known if arm.name == experiment.control(control))
    return {
        **told(experiment),
        "control": first.name,
        "confidence": level,
        "variants": [
            {
                "variant": arm.name,
                "version": experiment.version(arm.name),
                **_measures(arm, level),
                "against_control": None if arm is first else against(first, arm, level),
            }
            for arm in known
        ],
    }


def told(experiment: Experiment) -> Record:
    """Return an experiment as it is told."""
    return {
        "prompt": experiment.prompt,
        "label": experiment.label,
        "experiment": experiment.assigned.experiment,
        "state": "running" if experiment.ended_at is None else "ended",
        "started_at": experiment.started_at,
        "ended_at": experiment.ended_at,
        "changed_by": experiment.changed_by,
        "assignment": {
            variant.name: {"version": variant.version, "weight": variant.weight}
            for variant in experiment.assigned.variants
        },
    }


def against(control: Arm, arm: Arm, level: float) -> list[Record]:
    """Compare a variant with the control: calls, success of outcomes, negative feedback."""
    calls = comparison.compare(
        merged(control.sides["llm_call"]), merged(arm.sides["llm_call"]), level
    )
    return [
        *calls,
        _compared("outcome_failure_ratio", "prompt_outcome", control, arm, level),
        _compared("negative_feedback_ratio", "prompt_feedback", control, arm, level),
    ]


def merged(side: Side) -> Side:
    """Return a side whose buckets aren't told apart by status: those are the clusters."""
    buckets: dict[datetime, Record] = {}
    for row in side.buckets:
        one = buckets.setdefault(row["bucket"], {"bucket": row["bucket"]})
        for name, value in row.items():
            if name == "slowest_ms":
                one[name] = max(one.get(name, 0), value)
            elif name not in ("bucket", "status"):
                one[name] = one.get(name, 0) + value
    return Side(list(buckets.values()))


def _compared(measure: str, kind: str, control: Arm, arm: Arm, level: float) -> Record:
    first, second = (Side(_known(one.sides[kind].buckets)) for one in (control, arm))
    return comparison.compare_failures(measure, first, second, level)


def _known(rows: Sequence[Record]) -> list[Record]:
    return [row for row in rows if row["status"]]


def _measures(arm: Arm, level: float) -> Record:
    calls = merged(arm.sides["llm_call"])
    succeeded, outcomes = arm.share("prompt_outcome", "completed")
    negative, opinions = arm.share("prompt_feedback", "failed")
    priced = calls.total("priced")
    return {
        "uses": calls.count,
        "turns": arm.sides["prompt_turn"].count,
        "failures": ratio(calls.total("failed"), calls.count, level) if calls.count else None,
        "cost_usd": sum(row["cost"] for row in calls.buckets),
        "avg_cost_usd": sum(calls.column("cost")) / priced if priced else None,
        "avg_ms": calls.total("duration_ms") / calls.count if calls.count else None,
        "p95_ms": calls.quantile(0.95),
        "success": ratio(succeeded, outcomes, level) if outcomes else None,
        "negative_feedback": ratio(negative, opinions, level) if opinions else None,
    }


def _newest(changes: list[Record]) -> Experiment | None:
    """Return the newest experiment out of a label's changes, the newest of which comes first."""
    ended_at: datetime | None = None
    for number, change in enumerate(changes):
        assigned = _read(change)
        if assigned is None:
            ended_at = change["changed_at"]
            continue
        began = change
        for earlier in changes[number + 1 :]:
            before = _read(earlier)
            if before is None or _arms_of(before) != _arms_of(assigned):
                break
            began = earlier
        return Experiment(
            change["prompt"],
            change["label"],
            assigned,
            began["changed_at"],
            ended_at,
            change["changed_by"],
        )
    return None


def _read(change: Record) -> Assignment | None:
    if isinstance(change["assignment"], str):
        return None
    read, _ = assignment(change["prompt"], change["label"], change["assignment"])
    return read


def _arms_of(assigned: Assignment) -> tuple[str, dict[str, str]]:
    return assigned.experiment, {variant.name: variant.version for variant in assigned.variants}
