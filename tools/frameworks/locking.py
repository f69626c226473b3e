"""Renews the locks: what a framework needs, with the shim's own requirements and pytest."""

from __future__ import annotations

from frameworks.environments import FOLDER, REPOSITORY, Environment, uv

COMMON = FOLDER / "common.in"
SHIM = REPOSITORY / "shim" / "pyproject.toml"


def renew(environment: Environment, more: list[str]) -> None:
    """Resolve an environment's requirements; what is pinned stays unless `more` says otherwise.

    Raises:
        EnvironmentUnavailable: nothing satisfies all requirements, or the network is absent.
    """
    uv(
        environment.name,
        "pip",
        "compile",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-annotate",
        "--custom-compile-command",
        "make frameworks-lock",
        *more,
        str(environment.folder / "requirements.in"),
        str(COMMON),
        str(SHIM),
        "-o",
        str(environment.lock),
    )
