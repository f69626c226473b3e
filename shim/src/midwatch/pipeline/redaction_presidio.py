"""Microsoft Presidio as another way to find personal data (`pip install 'midwatch[presidio]'`)."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Iterable
from typing import Any

from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.redaction import Engine, Finding

_logger = logging.getLogger("midwatch")

_LANGUAGE = "en"
_LEAST_SCORE = 0.5
# Found by the table already, or too often wrong to be of use: every year is a date.
_IGNORED = frozenset({"DATE_TIME", "URL", "EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE"})


def presidio_engine() -> Engine | None:
    """Presidio's analyzer as an engine; None, and said once, if it is not installed.

    Its models are loaded with the first text.
    """
    try:
        module = importlib.import_module("presidio_analyzer")
    except ImportError as error:
        FAILURES.count("redaction.presidio")
        _logger.warning(
            "midwatch: MIDWATCH_REDACT_ENGINE=presidio, but Presidio cannot be imported (%s); no "
            "content is sent. Install midwatch[presidio], or unset the variable",
            type(error).__name__,
        )
        return None
    return PresidioEngine(module)


class PresidioEngine:
    """Asks Presidio's analyzer; whatever it raises is for the caller, who lets nothing leave."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._analyzer: Any = None

    def __call__(self, text: str) -> Iterable[Finding]:
        """What the analyzer finds, each as kind `presidio_<entity>`."""
        with self._lock:
            if self._analyzer is None:
                self._analyzer = self._module.AnalyzerEngine()
        return [
            Finding(found.start, found.end, f"presidio_{found.entity_type.lower()}")
            for found in self._analyzer.analyze(text=text, language=_LANGUAGE)
            if found.score >= _LEAST_SCORE and found.entity_type not in _IGNORED
        ]
