"""The exporters that the environment names: one that fails takes no other along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import opentelemetry.sdk._configuration as otel

from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.payloads import Signal

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")


def make_exporters(names: Mapping[Signal, Sequence[str]]) -> dict[Signal, tuple[Any, ...]]:
    """The exporters by signal; one that is not installed or cannot start is told and left out.

    Args:
        names: the exporters' names by signal.
    """
    made: dict[Signal, list[Any]] = {signal: [] for signal in SIGNALS}
    for place, signal in enumerate(SIGNALS):
        for name in names.get(signal, ()):
            asked: list[list[str]] = [[], [], []]
            asked[place].append(name)
            try:
                # A port that is taken, for example, is found out when the exporter is made.
                made[signal] += [kind() for kind in otel._import_exporters(*asked)[place].values()]
            except Exception as error:
                FAILURES.note(f"exporter {name} of {signal}", error)
    return {signal: tuple(exporters) for signal, exporters in made.items()}
