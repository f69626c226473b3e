"""Builds one pinned program with Go into its place in the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from toolchain.errors import BuildFailed
from toolchain.pins import Pin

Report = Callable[[str], None]


@dataclass(frozen=True)
class Builder:
    """Everything the builds of one run share.

    Attributes:
        go: the Go command.
        cache: folder that holds built programs.
        compilers: how many compilers one build may run at once.
    """

    go: Path
    cache: Path
    compilers: int

    def place(self, pin: Pin) -> Path:
        """Return where the program lies once it is built."""
        return place(pin, self.cache)

    def build(self, pin: Pin, generator: Path | None, report: Report) -> Path:
        """Build the program unless another process just did, and return its path.

        Args:
            pin: the program.
            generator: the collector builder, for a pin with a manifest.
            report: told what goes on, in a few words.

        Raises:
            BuildFailed: with the compiler's last words and a remedy.
        """
        target = self.place(pin)
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(target) + ".lock"):
            if target.exists():
                return target
            with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as work:
                made = self._compile(pin, generator, Path(work), report)
                made.rename(target)
        return target

    def _compile(self, pin: Pin, generator: Path | None, work: Path, report: Report) -> Path:
        if pin.module is None:
            raise ValueError(f"{pin.name} is not built here")
        folder, package = pin.module, pin.package
        if pin.manifest is not None:
            if generator is None:
                raise ValueError(f"{pin.name} needs the collector builder")
            folder, package = generate_collector(pin, generator, work), "."
        tags = ",".join(pin.tags)
        total = self._packages(pin, folder, [f"-tags={tags}", package or "."], report)
        made = work / pin.name
        flags = "-s -w"
        if pin.version_variable:
            flags += f" -X {pin.version_variable}={pin.version}"
        flags += "".join(f" -X {name}={value}" for name, value in pin.variables.items())
        command = [str(self.go), "build", "-v", "-trimpath", "-p", str(self.compilers)]
        command += [f"-tags={tags}", "-ldflags", flags, "-o", str(made), package or "."]
        self._run(pin, command, folder, total, report)
        return made

    def _packages(self, pin: Pin, folder: Path, package: list[str], report: Report) -> int:
        report("downloading modules")
        listed = subprocess.run(
            [str(self.go), "list", "-deps", *package],
            cwd=folder,
            env=go_environment(os.environ),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if listed.returncode != 0:
            raise BuildFailed(f"downloading {pin.name}'s Go modules", listed.stderr)
        return len(listed.stdout.splitlines())

    def _run(self, pin: Pin, command: list[str], folder: Path, total: int, report: Report) -> None:
        said: list[str] = []
        with subprocess.Popen(
            command,
            cwd=folder,
            env=go_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            if process.stderr is not None:
                for line in process.stderr:
                    said.append(line)
                    report(f"compiling, {len(said)} of at most {total} packages")
        if process.returncode != 0:
            raise BuildFailed(f"building {pin.name} {pin.version}", "".join(said))


def place(pin: Pin, cache: Path) -> Path:
    """Return where a built program lies in the cache, keyed by all that decides what it is."""
    return cache / "programs" / f"{pin.name}-{pin.version}-{pin.key}" / pin.name


def generate_collector(pin: Pin, generator: Path, work: Path) -> Path:
    """Let the collector builder write the sources that the manifest asks for.

    The pinned go.mod and go.sum are put beside them: the builder's own resolving asks for modules
    that only tests of the components need, some of which can't be had.
    """
    if pin.module is None or pin.manifest is None:
        raise ValueError(f"{pin.name} has no manifest")
    sources = work / "sources"
    sources.mkdir()
    manifest = work / "manifest.yaml"
    stated = pin.manifest.read_text(encoding="utf-8")
    manifest.write_text(
        stated.replace("dist:\n", f"dist:\n  output_path: {sources}\n", 1), encoding="utf-8"
    )
    run = subprocess.run(
        [str(generator), "--config", str(manifest), "--skip-compilation", "--skip-get-modules"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if run.returncode != 0:
        raise BuildFailed("generating the collector's sources", run.stdout + run.stderr)
    for file in ("go.mod", "go.sum"):
        shutil.copy(pin.module / file, sources / file)
    copy_components(pin.module, sources)
    return sources


def copy_components(module: Path, sources: Path) -> None:
    """Put the components that lie in folders of the collector's module beside its sources."""
    for component in module.glob("*/go.mod"):
        shutil.copytree(component.parent, sources / component.parent.name)


def go_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for Go: pure Go, this toolchain and no other, no workspace around."""
    return {
        **environment,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
    }
