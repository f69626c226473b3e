"""Charts rendered by the real helm, once per set of values."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from manifests.plan import repository_root
from toolchain import program_path

from tests import kept_runs

ROOT = repository_root()
Objects = list[dict[str, Any]]
Files = dict[str, dict[str, str]]
# How helm tells that the chart's schema, and its templates, do not take the values.
REFUSALS = ("values don't meet the specifications of the schema", "execution error at (")


@lru_cache
def helm(chart: str, release: str, namespace: str, values: str) -> tuple[int, str, str]:
    """Exit code, text and complaints of `helm template`."""
    command: list[str | Path] = [program_path("helm"), "template", release]
    command += [ROOT / "charts" / chart]
    command += ["--namespace", namespace, "--values", "-"]
    done = kept_runs.run(command, text=values, refusals=REFUSALS)
    return done.returncode, done.stdout, done.stderr


@lru_cache
def _parsed(text: str) -> Objects:
    # The loader in C: a rendering is half a megabyte. Many tests read the same; nobody changes it.
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def render(values: Any = None, chart: str = "midwatch", **settings: str) -> str:
    """Text of a chart rendered with values; fails when helm refuses."""
    # The dumper in C: in Python this took longer than the rest, where the rendering is known.
    text = yaml.dump(values or {}, Dumper=yaml.CSafeDumper)
    release = settings.get("release", "midwatch")
    code, out, err = helm(chart, release, settings.get("namespace", "midwatch"), text)
    assert code == 0, err
    return out


def objects(values: Any = None, chart: str = "midwatch", **settings: str) -> Objects:
    """Objects of a chart rendered with values; read only, for they are parsed once."""
    return _parsed(render(values, chart, **settings))


def files_of(values: Any = None) -> Files:
    """Files of all ConfigMaps, by ConfigMap and file name."""
    maps = (item for item in objects(values) if item["kind"] == "ConfigMap")
    return {item["metadata"]["name"]: item["data"] or {} for item in maps}
