"""The entry points that OpenTelemetry's own auto-instrumentation looks for."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.sdk._configuration import _BaseConfigurator

from midwatch.instrumentors.loader import handles, load_entry_point
from midwatch.startup import init, set_defaults

_logger = logging.getLogger("midwatch")


class MidwatchDistro(BaseDistro):  # type: ignore[misc]
    """Sets defaults, and keeps each instrumentor's failure to itself."""

    _told = False

    def _configure(self, **kwargs: Any) -> None:
        set_defaults()

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Load an instrumentor, unless the shim itself instruments its library."""
        if not MidwatchConfigurator.was_asked:
            self._tell()
            load_entry_point(entry_point)
        elif not handles(entry_point):
            load_entry_point(entry_point)

    def _tell(self) -> None:
        if not MidwatchDistro._told:
            MidwatchDistro._told = True
            _logger.warning(
                "midwatch: not started: another configurator has set up OpenTelemetry; set "
                "OTEL_PYTHON_CONFIGURATOR=midwatch, or use midwatch-run"
            )


class MidwatchConfigurator(_BaseConfigurator):
    """Sets up what `midwatch.init()` sets up."""

    was_asked = False
    """Whether it was this one that OpenTelemetry chose."""

    def _configure(self, **kwargs: Any) -> None:
        MidwatchConfigurator.was_asked = True
        init()
