"""Which fields of events hold content: they leave the process by content policy only."""

from __future__ import annotations

CONTENT_FIELDS: tuple[str, ...] = ("prompt_text", "response_text", "comment")
"""The names in an event's metadata."""
