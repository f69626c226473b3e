"""Turns validation errors into problems that a person can act on."""

from __future__ import annotations

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
            given=_plain(entry["input"]),
            message=entry["msg"].removeprefix("Value error, "),
        )
        for entry in error.errors(include_url=False, include_context=False)
    ]


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float | bool | list | dict):
        return value
    return repr(value)
