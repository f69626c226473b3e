"""The entry points that OpenTelemetry's own auto-instrumentation looks for."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.sdk._configuration import _BaseConfigurator

from midwatch.instrumentors.loader import handles, load_entry_point
from midwatch.startup import init, set_defaults


class MidwatchDistro(BaseDistro):  # type: ignore[misc]
    """Sets defaults, and keeps each instrumentor's failure to itself."""

    def _configure(self, **kwargs: Any) -> None:
        set_defaults()

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Load an instrumentor, unless the shim itself instruments its library."""
        if not handles(entry_point):
            load_entry_point(entry_point)


class MidwatchConfigurator(_BaseConfigurator):
    """Sets up what `midwatch.init()` sets up."""

    def _configure(self, **kwargs: Any) -> None:
        init()
