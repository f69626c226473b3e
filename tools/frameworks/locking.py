"""Renews the locks of environments."""

from __future__ import annotations

from pathlib import Path

from frameworks.environments import FOLDER, REPOSITORY, Environment, uv

#: What each framework's tests need beside the framework: pytest, and the shim's own requirements.
OF_FRAMEWORKS = [FOLDER / "common.in", REPOSITORY / "shim" / "pyproject.toml"]


def renew(
    environment: Environment, needed: list[Path], command: str, more: list[str] | None = None
) -> None:
    """Resolve an environment's requirements; what is pinned stays unless `more` says otherwise.

    Args:
        environment: Whose `requirements.in` is resolved into its lock.
        needed: Further files of requirements.
        command: What the lock's head tells people to run.
        more: Arguments for uv, such as `--upgrade`.

    Raises:
        EnvironmentUnavailable: nothing satisfies all requirements, or the network is absent.
    """
    uv(
        environment.name,
        *("pip", "compile", "--universal", "--python-version", "3.11"),
        *("--generate-hashes", "--no-annotate", "--custom-compile-command", command),
        *(more or []),
        str(environment.folder / "requirements.in"),
        *map(str, needed),
        *("-o", str(environment.lock)),
    )
