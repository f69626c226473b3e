"""What can go wrong while files are derived."""

from __future__ import annotations


class ManifestsError(Exception):
    """A file could not be derived; the text says which, why and what to change."""
