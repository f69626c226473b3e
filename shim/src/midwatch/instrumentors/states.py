"""What became of each instrumented library, as a metric shows it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Literal

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from midwatch.instruments.recording import SCOPE
from midwatch.registry.own_metrics import INSTRUMENTED

State = Literal["active", "absent", "failed", "rival"]

_LIBRARY, _STATE = INSTRUMENTED.attribute_names


class States:
    """The states by library; one that is installed but not yet imported has none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[tuple[str, State], bool] = {}

    def note(self, library: str, state: State) -> None:
        """Say in which state a library is; a rival is beside the other states."""
        with self._lock:
            if state != "rival":
                for other in ("active", "absent", "failed"):
                    self._states.pop((library, other), None)
            self._states[(library, state)] = True

    def known(self) -> list[tuple[str, State]]:
        """Every library with its state."""
        with self._lock:
            return sorted(self._states)

    def observe_on(self, meter_provider: MeterProvider) -> None:
        """Show the states as a gauge."""
        meter_provider.get_meter(SCOPE).create_observable_gauge(
            INSTRUMENTED.name, [self._observe], INSTRUMENTED.unit, INSTRUMENTED.description
        )

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(1, {_LIBRARY: library, _STATE: state}) for library, state in self.known()
        ]


STATES = States()
"""The states in this process."""
