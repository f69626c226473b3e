"""What every local program finds around it."""

from __future__ import annotations

import os
from pathlib import Path


def base_environment(directory: Path) -> dict[str, str]:
    """Return the little that a program gets beyond its own settings.

    Nothing else of the user's environment is handed on: proxies, credentials and OTEL_* settings
    of the shell would change what is tried.
    """
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
