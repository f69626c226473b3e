"""Resolves the collector's manifest into the go.mod and go.sum that its build uses."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from toolchain.build import copy_components, go_environment
from toolchain.errors import BuildFailed

_NOTICE = "// Resolved from manifest.yaml by `make collector-lock`. Not edited by hand.\n"


def lock_collector(manifest: Path, module: Path, generator: Path, go: Path) -> None:
    """Write go.mod and go.sum into the module's folder.

    The collector builder tidies the module it generates, which asks for what only tests of the
    components import. Some of that can't be had, so its failure there is expected: what the
    program itself imports is resolved afterwards.

    Raises:
        BuildFailed: the manifest is refused, or a component's module can't be had.
    """
    with tempfile.TemporaryDirectory() as work:
        sources = Path(work) / "sources"
        sources.mkdir()
        copy_components(module, sources)
        stated = manifest.read_text(encoding="utf-8")
        located = Path(work) / "manifest.yaml"
        located.write_text(
            stated.replace("dist:\n", f"dist:\n  output_path: {sources}\n", 1), encoding="utf-8"
        )
        generated = _run([str(generator), "--config", str(located), "--skip-compilation"], sources)
        if not (sources / "go.mod").exists():
            raise BuildFailed("generating the collector's sources", generated.stderr)
        resolved = _run([str(go), "list", "-mod=mod", "-deps", "."], sources)
        if resolved.returncode != 0:
            raise BuildFailed("resolving the collector's modules", resolved.stderr)
        lines = (sources / "go.mod").read_text(encoding="utf-8").splitlines(keepends=True)
        (module / "go.mod").write_text(_NOTICE + _squeezed(lines[1:]), encoding="utf-8")
        (module / "go.sum").write_bytes((sources / "go.sum").read_bytes())


def _squeezed(lines: list[str]) -> str:
    kept = [line for index, line in enumerate(lines) if line.strip() or lines[index - 1].strip()]
    return "".join(kept)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**go_environment(os.environ), "GOFLAGS": "-buildvcs=false"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
