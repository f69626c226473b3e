"""What can be decorated, and what it is called."""

from __future__ import annotations

import functools


def function_name(function: object) -> str:
    """What a decorated function is called."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    return str(getattr(function, "__name__", "") or type(function).__name__)


def is_function(value: object) -> bool:
    """Whether a value is there to be decorated and is no name."""
    return callable(value) or isinstance(value, classmethod | staticmethod)
