"""Turns validation errors into problems that a person can act on."""

from __future__ import annotations

import json
from typing import TypedDict

from pydantic import ValidationError


class Problem(TypedDict):
    """One thing that is wrong with an input."""

    field: str
    given: object
    message: str


def problems_of(error: ValidationError) -> list[Problem]:
    """All problems of a failed validation: the field, what was given, what is allowed."""
    return [
        Problem(
            field=".".join(str(part) for part in entry["loc"]) or "(body)",
            given=as_json_value(entry["input"]),
            message=entry["msg"].removeprefix("Value error, "),
        )
        for entry in error.errors(include_url=False, include_context=False)
    ]


def as_json_value(value: object) -> object:
    """The value itself where an answer can carry it; else, as with NaN, how Python writes it."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value
