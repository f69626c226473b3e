"""Renders charts with helm."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stack.errors import RenderFailedError
from stack.translate.objects import Rendered

_RENDER_SECONDS = 120


@dataclass(frozen=True)
class Release:
    """A chart as it is installed.

    Attributes:
        name: of the release.
        namespace: where it is installed.
        chart: the chart's folder.
        values_files: in the order in which helm reads them.
        values: read after the files.
        settings: `key=value` texts as helm's --set takes them, above all else.
    """

    name: str
    namespace: str
    chart: Path
    values_files: tuple[Path, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()


def render(release: Release, helm: Path, directory: Path) -> Rendered:
    """Render a release.

    Args:
        release: what to render.
        helm: the program.
        directory: keeps what was rendered (`<release>.yaml`) and helm's own files.

    Raises:
        RenderFailedError: the chart or its values are refused; the text holds helm's own words.
    """
    directory.mkdir(parents=True, exist_ok=True)
    command = [str(helm), "template", release.name, str(release.chart)]
    command += ["--namespace", release.namespace]
    for file in release.values_files:
        command += ["--values", str(file)]
    command += ["--values", "-"]
    for setting in release.settings:
        command += ["--set", setting]
    answer = subprocess.run(
        command,
        input=yaml.safe_dump(dict(release.values)),
        capture_output=True,
        text=True,
        timeout=_RENDER_SECONDS,
        env={**os.environ, **_own_folders(directory / "helm")},
        check=False,
    )
    if answer.returncode != 0:
        raise RenderFailedError(_explain(release, answer.stderr.strip()))
    (directory / f"{release.name}.yaml").write_text(answer.stdout, encoding="utf-8")
    return Rendered.parse(answer.stdout, release.namespace)


def _own_folders(directory: Path) -> dict[str, str]:
    # The user's repositories and plugins must not change what is rendered.
    return {
        "HELM_CACHE_HOME": str(directory / "cache"),
        "HELM_CONFIG_HOME": str(directory / "config"),
        "HELM_DATA_HOME": str(directory / "data"),
    }


def _explain(release: Release, words: str) -> str:
    sources = ", ".join(str(file) for file in release.values_files) or "the chart's own defaults"
    indented = "\n".join(f"    {line}" for line in words.splitlines())
    return (
        f"helm refuses to render {release.chart} as release {release.name!r}. It says:\n"
        f"{indented}\n"
        f"  Values came from {sources} and from --set. Change the value that helm names; what is "
        f"allowed stands in {release.chart / 'values.schema.json'}."
    )
