"""Guards of experiments: a variant that surely breaches its limits is taken out of use.

"Surely" means that the whole interval, at the guard's confidence, is beyond the limit. Guards look
again and again, and whoever looks often sees chance more often: their confidence is therefore 0.99
unless somebody sets another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from midwatch_ledger.services import comparison, experiments, inference, prompts
from midwatch_ledger.services.experiments import Arm, Experiment
from midwatch_ledger.services.prompts import Change
from midwatch_ledger.store import experiments as store
from midwatch_ledger.store import prompts as prompt_store
from midwatch_ledger.store.database import Database

Record = dict[str, Any]

ACTOR = "midwatch guard"
_logger = logging.getLogger(__name__)


class UnknownVariantError(Exception):
    """The control is no variant of the experiment."""


@dataclass(frozen=True)
class Limits:
    """What a variant must keep; None is no limit.

    Attributes:
        min_samples: with fewer cases nothing is decided.
        confidence: of the intervals that must lie beyond a limit.
        max_failure_ratio: of model calls.
        min_success_ratio: of business outcomes whose success is known.
        max_negative_feedback_ratio: of feedback that is positive or negative.
        max_cost_ratio: of the average cost of a call to the control's.
        max_latency_ratio: of the 95th percentile of calls to the control's.
    """

    min_samples: int = 100
    confidence: float = 0.99
    max_failure_ratio: float | None = None
    min_success_ratio: float | None = None
    max_negative_feedback_ratio: float | None = None
    max_cost_ratio: float | None = None
    max_latency_ratio: float | None = None


@dataclass(frozen=True)
class Breach:
    """A limit that a variant doesn't keep: what was measured, with the interval."""

    variant: str
    limit: str
    allowed: float
    estimate: float
    lower: float
    upper: float
    cases: int

    def __str__(self) -> str:
        """Say it to a person."""
        return (
            f"variant {self.variant!r} breaches {self.limit} {self.allowed:g}: measured "
            f"{self.estimate:.4g} ({self.lower:.4g} to {self.upper:.4g}) in {self.cases} cases"
        )


def arm(
    connection: Connection,
    prompt: str,
    label: str,
    control: str | None,
    limits: Limits,
    change: Change,
) -> Record:
    """Guard the experiment of a label from now on, and return the guard.

    Raises:
        UnknownExperimentError: the label has no experiment.
        UnknownVariantError: the control is none of its variants.
    """
    experiment = experiments.find(connection, prompt, label)
    chosen = experiment.control(control)
    if control is not None and chosen != control:
        names = ", ".join(variant.name for variant in experiment.assigned.variants)
        raise UnknownVariantError(f"control {control!r} is no variant; there are {names}")
    row = {
        "prompt": prompt,
        "label": label,
        "control": chosen,
        "limits": asdict(limits),
        "armed": True,
        "updated_by": change.by,
        "updated_at": change.at,
        "checked_at": None,
        "verdict": None,
    }
    store.set_guard(connection, row)
    return row


def check_all(database: Database, now: datetime) -> int:
    """Check every guard that is armed; return how many labels were rolled back.

    Raises:
        DatabaseUnavailableError: the database can't be reached or is locked.
    """
    with database.reading() as connection:
        armed = [row for row in store.guards(connection) if row["armed"]]
    rolled_back = 0
    for row in armed:
        with database.writing() as connection:
            rolled_back += check(connection, row["prompt"], row["label"], now)
    return rolled_back


def check(connection: Connection, prompt: str, label: str, now: datetime) -> bool:
    """Check one guard; return whether the label was rolled back. Safe on several replicas."""
    # The prompt first, as every change of a label does: nobody waits in a circle.
    prompt_store.lock(connection, prompt)
    row = store.guard(connection, prompt, label, lock=True)
    if row is None or not row["armed"]:
        return False
    experiment = experiments.find(connection, prompt, label)
    if experiment.ended_at is not None:
        store.update_guard(connection, prompt, label, armed=False, checked_at=now)
        return False
    limits = Limits(**row["limits"])
    arms = {one.name: one for one in experiments.arms(connection, experiment, now)}
    control = arms[experiment.control(row["control"])]
    found = [
        breach
        for name, one in arms.items()
        if name != control.name
        for breach in breaches(control, one, limits)
    ]
    if not found:
        store.update_guard(connection, prompt, label, checked_at=now)
        return False
    _roll_back(connection, experiment, control.name, found, now)
    verdict = {"rolled_back_at": now.isoformat(), "breaches": [asdict(one) for one in found]}
    store.update_guard(connection, prompt, label, armed=False, checked_at=now, verdict=verdict)
    return True


def breaches(control: Arm, one: Arm, limits: Limits) -> Iterator[Breach]:
    """Give the limits that a variant surely doesn't keep."""
    shares = (
        ("max_failure_ratio", limits.max_failure_ratio, one.share("llm_call", "failed")),
        (
            "max_negative_feedback_ratio",
            limits.max_negative_feedback_ratio,
            one.share("prompt_feedback", "failed"),
        ),
        ("min_success_ratio", limits.min_success_ratio, one.share("prompt_outcome", "completed")),
    )
    for name, allowed, (count, total) in shares:
        if allowed is None or total < limits.min_samples:
            continue
        found = inference.wilson(count, total, limits.confidence)
        beyond = found.upper < allowed if name.startswith("min") else found.lower > allowed
        if beyond:
            yield Breach(one.name, name, allowed, found.estimate, found.lower, found.upper, total)
    yield from _ratios(control, one, limits)


def _ratios(control: Arm, one: Arm, limits: Limits) -> Iterator[Breach]:
    if min(control.uses, one.uses) < limits.min_samples:
        return
    first, second = (experiments.merged(side.sides["llm_call"]) for side in (control, one))
    level = limits.confidence
    for name, allowed, estimate in (
        ("max_cost_ratio", limits.max_cost_ratio, comparison.cost_interval),
        ("max_latency_ratio", limits.max_latency_ratio, comparison.p95_interval),
    ):
        intervals = estimate(first, level), estimate(second, level)
        if allowed is None or intervals[0] is None or intervals[1] is None:
            continue
        found = inference.compare_positive(intervals[0], intervals[1], level)
        if found is not None and found.lower > allowed:
            yield Breach(
                one.name, name, allowed, found.estimate, found.lower, found.upper, second.count
            )


def _roll_back(
    connection: Connection,
    experiment: Experiment,
    control: str,
    found: list[Breach],
    now: datetime,
) -> None:
    """Have the label stand for what it stood for before, if that has none of the bad versions."""
    bad = {experiment.version(breach.variant) for breach in found}
    wanted: object = experiment.version(control)
    for change in prompts.history(connection, experiment.prompt, experiment.label):
        if isinstance(change["assignment"], str) and change["assignment"] not in bad:
            wanted = change["assignment"]
            break
    note = "; ".join(map(str, found))
    _logger.warning(
        "label %s of prompt %s is rolled back: %s", experiment.label, experiment.prompt, note
    )
    prompts.assign(
        connection, experiment.prompt, experiment.label, wanted, Change(ACTOR, now, note)
    )
