"""Which version of a program PATH has."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from packaging.version import Version

from toolchain.pins import Pin

_VERSION = re.compile(r"\bv?(\d+\.\d+(?:\.\d+)?)\b")
_PATIENCE_SECONDS = 20


def said_version(program: Path, arguments: Sequence[str]) -> Version | None:
    """Return the version that a program prints, or None when it prints none."""
    try:
        run = subprocess.run(
            [str(program), *arguments],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(run.stdout + run.stderr)
    return Version(found.group(1)) if found else None


def fitting_on_path(pin: Pin, path: str | None = None) -> Path | None:
    """Return the program that PATH has when its version fits the pin.

    Args:
        pin: what is looked for.
        path: folders to look in, as PATH writes them; None for the environment's.
    """
    if pin.accepts is None:
        return None
    found = shutil.which(pin.name, path=path)
    if found is None:
        return None
    version = said_version(Path(found), pin.version_command)
    return Path(found) if version is not None and version in pin.accepts else None


def unfit_on_path(pin: Pin, path: str | None = None) -> str | None:
    """Return a sentence on a program that PATH has and that does not fit, or None."""
    found = shutil.which(pin.name, path=path)
    if found is None or pin.accepts is None:
        return None
    version = said_version(Path(found), pin.version_command)
    said = f"says it is {version}" if version else "does not say its version"
    return f"the one on PATH ({found}) {said}; {pin.accepts} is needed"
