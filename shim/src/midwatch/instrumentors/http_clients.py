"""httpx and httpx2 (through which `openai` 3 speaks), by the one official module for both."""

from __future__ import annotations

import importlib
from typing import ClassVar

_OFFICIAL = "opentelemetry.instrumentation.httpx"


class HttpxInstrumentation:
    """Instruments the clients of httpx."""

    instrumentor: ClassVar[str] = "HTTPXClientInstrumentor"
    _waiting: ClassVar[set[str]] = set()

    def instrument(self) -> None:
        """Do it.

        The official module imports both libraries itself, and so comes here while it is not
        complete; whoever imports it then instruments the other library as well.

        Raises:
            RuntimeError: the installed version is not supported.
        """
        self._waiting.add(self.instrumentor)
        official = importlib.import_module(_OFFICIAL)
        for name in sorted(self._waiting):
            kind = getattr(official, name, None)
            if kind is None:
                continue
            self._waiting.discard(name)
            instrumentor = kind()
            instrumentor.instrument()
            if not instrumentor.is_instrumented_by_opentelemetry:
                raise RuntimeError(f"{name} does not support the installed version of its library")


class Httpx2Instrumentation(HttpxInstrumentation):
    """Instruments the clients of httpx2."""

    instrumentor = "HTTPX2ClientInstrumentor"
