"""What can go wrong."""

from __future__ import annotations


class InjectableError(Exception):
    """The folder can not be made; the text says what to change."""
