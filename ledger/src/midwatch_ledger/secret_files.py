"""Secrets come from files: never from arguments, and never from the environment itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def _readable_file(value: Path) -> Path:
    try:
        text = value.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"file {str(value)!r} can't be read ({error}); mount the secret there, or unset"
        ) from None
    if not text:
        raise ValueError(f"file {str(value)!r} is empty; write the secret into it, or unset")
    return value


SecretFile = Annotated[Path, AfterValidator(_readable_file)]


def secret_in(file: Path | None) -> str | None:
    """Return what a file holds, None where none is named."""
    return None if file is None else file.read_text(encoding="utf-8").strip()
