"""Charts rendered by the real helm once per set of values, and the rendered collector at work."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

# Tests are imported by file: their folder is on no path.
if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))

from chart_examples import example_names, values_in
from pods import Pods

from tests.free_ports import free_port
from tests.render import rendering
from tests.render.collectors import Collector, wait_until
from tests.render.rendering import ROOT, Objects
from tests.render.stores import Store


@pytest.fixture(scope="session")
def render() -> Callable[..., str]:
    """Text of a chart rendered with values; fails the test when helm refuses."""
    return rendering.render


@pytest.fixture(scope="session")
def objects() -> Callable[..., Objects]:
    """Objects of a chart rendered with values; read only, for they are parsed once."""
    return rendering.objects


@pytest.fixture(scope="session")
def refusal() -> Callable[..., str]:
    """What helm says of values that it must refuse."""

    def refused(values: Any, chart: str = "midwatch") -> str:
        code, _, err = rendering.helm(chart, "midwatch", "midwatch", yaml.safe_dump(values))
        assert code != 0, "helm took the values"
        return err

    return refused


@pytest.fixture(scope="session")
def files_of() -> Callable[..., rendering.Files]:
    """Files of all ConfigMaps, by ConfigMap and file name."""
    return rendering.files_of


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


@pytest.fixture
def store() -> Iterator[Callable[..., Store]]:
    running: list[Store] = []

    def start(metrics_page: str = "") -> Store:
        running.append(Store(metrics_page))
        threading.Thread(target=running[-1].serve_forever, args=(0.05,), daemon=True).start()
        return running[-1]

    yield start
    for one in running:
        one.shutdown()
        one.server_close()


@pytest.fixture
def tier(tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Makes collectors of the two tiers, each with a folder of its own; ends them together."""
    made: list[Collector] = []

    def make(component: str) -> Collector:
        folder = tmp_path / f"{component}-{len(made)}"
        folder.mkdir()
        made.append(Collector(folder, component))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    process = Collector(tmp_path)
    yield process
    process.stop()


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], Any], str], Any]:
    """Waits for a condition and gives what it gave; fails with what was waited for."""
    return wait_until


@pytest.fixture
def unused_port() -> int:
    """A port where nobody listens."""
    return free_port()


@pytest.fixture
def start(objects, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts a component's program as its pod would; gives the port on which it got ready."""
    pods = Pods(tmp_path)
    yield lambda component, values, secrets=None: pods.start(objects(values), component, secrets)
    pods.end()
