"""Methods that never raise: what fails in them is counted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from midwatch.instruments.recorder import get_recorder
from midwatch.pipeline.failures import FAILURES

_Parameters = ParamSpec("_Parameters")


def safely(method: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """The method, doing nothing where telemetry is off and keeping its failures to itself."""
    where = f"api.{method.__qualname__.lower()}"

    @functools.wraps(method)
    def guarded(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        if not get_recorder().enabled:
            return
        try:
            method(*args, **kwargs)
        except Exception as error:
            FAILURES.note(where, error)

    return guarded
