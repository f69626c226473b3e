"""Charts rendered by the real helm, in a form that is the same on every run."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from toolchain import program_path

from manifests.errors import ManifestsError

# A Secret that is made at install time is different in each rendering.
_GENERATED = re.compile(r"^(  [-._a-zA-Z0-9]+: )[A-Za-z0-9+/]{40,}=*$", re.MULTILINE)
_CHECKSUM = re.compile(r"^( +checksum/config: )[0-9a-f]{64}$", re.MULTILINE)
_SECRET = re.compile(r"^kind: Secret$", re.MULTILINE)


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Start helm and wait for what it says."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def render(
    chart: Path,
    *,
    release: str,
    namespace: str,
    values: Sequence[Path] = (),
    settings: Sequence[str] = (),
) -> str:
    """The objects of a chart as `helm template` writes them.

    Raises:
        ManifestsError: helm refuses the values or the chart; the text is helm's own.
    """
    command = [str(program_path("helm")), "template", release, str(chart)]
    command += ["--namespace", namespace]
    for path in values:
        command += ["--values", str(path)]
    for setting in settings:
        command += ["--set", setting]
    finished = run(command)
    if finished.returncode != 0:
        raise ManifestsError(f"helm template {chart.name}: {finished.stderr.strip()}")
    return finished.stdout


def mask_generated(rendered: str) -> str:
    """The rendering with a fixed text in place of secrets that were made for it."""
    documents = rendered.split("\n---\n")
    return "\n---\n".join(
        _GENERATED.sub(r"\1<made at install>", document) if _SECRET.search(document) else document
        for document in documents
    )


def without_copies(rendered: str, folder: Path) -> str:
    """The rendering with a reference in place of each file that the chart has from elsewhere.

    Checksums of configuration go as well: they would tell that such a file has changed.

    Args:
        rendered: What helm wrote.
        folder: The chart's `files`, whose texts are compared with their originals already.
    """
    rendered = _CHECKSUM.sub(r"\g<1><checksum>", rendered)
    for path in sorted(folder.glob("*/*")):
        block = rf"^(  {re.escape(path.name)}: )\|\n(?:(?:    .*)?\n)+"
        reference = f"<files/{path.parent.name}/{path.name}>"
        rendered = re.sub(block, rf"\g<1>{reference}\n", rendered, flags=re.MULTILINE)
    return rendered
