"""Charts rendered by the real helm, once per set of values."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests.plan import repository_root
from toolchain import program_path

ROOT = repository_root()
Objects = list[dict[str, Any]]


@lru_cache
def _helm(chart: str, release: str, namespace: str, values: str) -> tuple[int, str, str]:
    command = [program_path("helm"), "template", release, str(ROOT / "charts" / chart)]
    command += ["--namespace", namespace, "--values", "-"]
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="session")
def render() -> Callable[..., str]:
    """Text of a chart rendered with values; fails the test when helm refuses."""

    def rendered(values: Any = None, chart: str = "midwatch", **settings: str) -> str:
        text = yaml.safe_dump(values or {})
        release = settings.get("release", "midwatch")
        code, out, err = _helm(chart, release, settings.get("namespace", "midwatch"), text)
        assert code == 0, err
        return out

    return rendered


@pytest.fixture(scope="session")
def objects(render: Callable[..., str]) -> Callable[..., Objects]:
    """Objects of a chart rendered with values."""

    def parsed(values: Any = None, chart: str = "midwatch", **settings: str) -> Objects:
        documents = yaml.safe_load_all(render(values, chart, **settings))
        return [document for document in documents if document]

    return parsed


@pytest.fixture(scope="session")
def refusal() -> Callable[..., str]:
    """What helm says of values that it must refuse."""

    def refused(values: Any, chart: str = "midwatch") -> str:
        code, _, err = _helm(chart, "midwatch", "midwatch", yaml.safe_dump(values))
        assert code != 0, "helm took the values"
        return err

    return refused


@pytest.fixture(scope="session")
def files_of(objects: Callable[..., Objects]) -> Callable[..., dict[str, dict[str, str]]]:
    """Files of all ConfigMaps, by ConfigMap and file name."""

    def collected(values: Any = None) -> dict[str, dict[str, str]]:
        maps = (item for item in objects(values) if item["kind"] == "ConfigMap")
        return {item["metadata"]["name"]: item["data"] or {} for item in maps}

    return collected


def example_names() -> list[str]:
    return sorted(
        path.parent.name for path in (ROOT / "charts/midwatch/examples").glob("*/values.yaml")
    )


def values_in(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


@pytest.fixture(scope="session", params=[*example_names(), "everything"])
def example(request: pytest.FixtureRequest, everything: dict[str, Any]) -> dict[str, Any]:
    """Values of each example in turn, and then with every option on."""
    if request.param == "everything":
        return everything
    return values_in(ROOT / "charts/midwatch/examples" / request.param / "values.yaml")


@pytest.fixture(scope="session")
def everything() -> dict[str, Any]:
    """Values that switch every option on, so that every value has an effect."""
    return values_in(ROOT / "tests/render/everything.yaml")
