"""The locked environments: where they are defined, kept and made."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from toolchain.programs import cache_folder

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "tests" / "frameworks"
LOCK = "requirements.lock"

_MADE = ".midwatch-made"
_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"hash mismatch|Hash mismatch",
        "a package differs from what the lock pins: check the index (UV_INDEX_URL), then try again",
    ),
    (
        r"dns|failed to lookup|connect|client error|timed out|unreachable|not found in the",
        "a new environment downloads its packages once: connect this machine to the network, or "
        "set UV_INDEX_URL to a package index that it can reach",
    ),
    (r"[Nn]o space left", "free some disk space: all environments together need about 2 GB"),
    (
        r"[Pp]ermission denied|[Rr]ead-only file system|Not a directory|File exists",
        "make the cache folder writable, or set MIDWATCH_CACHE_DIR to a folder that is",
    ),
)


class EnvironmentUnavailable(Exception):  # noqa: N818 - reads as what it says
    """An environment can't be made; the text says why and what to do."""


@dataclass(frozen=True)
class Environment:
    """One framework's tests and the lock of what they need."""

    name: str
    folder: Path

    @property
    def lock(self) -> Path:
        """The pinned packages, with hashes."""
        return self.folder / LOCK

    @property
    def place(self) -> Path:
        """Where it is kept: another lock or another Python is another environment."""
        key = hashlib.sha256(self.lock.read_bytes())
        key.update(sys.implementation.cache_tag.encode() if sys.implementation.cache_tag else b"")
        return cache_folder() / "environments" / f"{self.name}-{key.hexdigest()[:16]}"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.place / "bin" / "python"

    @property
    def is_made(self) -> bool:
        """Whether it is complete."""
        return (self.place / _MADE).exists()

    def make(self) -> None:
        """Make it unless it is made; several processes may try at once.

        Raises:
            EnvironmentUnavailable: the packages can't be installed.
        """
        try:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.place}.lock"):
                if not self.is_made:
                    self._install()
        except OSError as problem:
            raise _unavailable(self.name, str(problem)) from problem

    def _install(self) -> None:
        base = getattr(sys, "_base_executable", sys.executable)
        uv(self.name, "venv", "--clear", "--python", base, str(self.place))
        uv(
            self.name,
            "pip",
            "sync",
            "--python",
            str(self.python),
            "--require-hashes",
            str(self.lock),
        )
        (self.place / _MADE).touch()


def known_environments(folder: Path = FOLDER) -> list[Environment]:
    """Every environment, by name."""
    found = sorted(folder.glob("*/requirements.in"))
    return [Environment(path.parent.name, path.parent) for path in found]


def chosen_environments(names: list[str], folder: Path = FOLDER) -> list[Environment]:
    """The environments of these names, every one if there are none.

    Raises:
        EnvironmentUnavailable: a name is none of an environment.
    """
    known = {environment.name: environment for environment in known_environments(folder)}
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise EnvironmentUnavailable(
            f"no framework is called {', '.join(unknown)}; there are {', '.join(known)}"
        )
    return [known[name] for name in names] if names else list(known.values())


def uv(what: str, *arguments: str) -> None:
    """Run uv, which hardlinks packages from one cache into each environment.

    Raises:
        EnvironmentUnavailable: it failed; with its last words and a remedy.
    """
    command = [str(Path(sys.executable).with_name("uv")), "--quiet", "--color", "never", *arguments]
    ran = subprocess.run(
        command, env={**os.environ, "UV_SYSTEM_CERTS": "1"}, capture_output=True, text=True
    )
    if ran.returncode:
        raise _unavailable(what, ran.stderr or ran.stdout)


def _unavailable(what: str, said: str) -> EnvironmentUnavailable:
    lines = [line.strip()[:300] for line in said.strip().splitlines() if line.strip()][-6:]
    words = "".join(f"\n      {line}" for line in lines)
    remedy = next(
        (remedy for pattern, remedy in _REMEDIES if re.search(pattern, said)),
        "read the lines above, then try again",
    )
    return EnvironmentUnavailable(
        f"the environment of {what} can't be made. It said:{words}\n    Remedy: {remedy}."
    )
