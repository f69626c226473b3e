"""LangSmith gets each run once: by Midwatch's direct export, or by LangChain's own tracer."""

from __future__ import annotations

import logging
from types import ModuleType

import wrapt

from midwatch.pipeline.failures import FAILURES

_logger = logging.getLogger("midwatch")


def leave_langsmith_to_direct_export() -> None:
    """Turn LangSmith's own tracer off when it is imported.

    The variables that turn direct export on turn that tracer on too. They are left as they are:
    child processes read them. What the application itself turns on in its code stays on.
    """
    wrapt.register_post_import_hook(_turn_off, "langsmith")


def _turn_off(langsmith: ModuleType) -> None:
    try:
        langsmith.configure(enabled=False)
    except Exception as error:
        FAILURES.note("langsmith", error)
        return
    _logger.info(
        "midwatch: traces go to LangSmith by direct export; LangSmith's own tracer is off, so that "
        "each run is there once"
    )
