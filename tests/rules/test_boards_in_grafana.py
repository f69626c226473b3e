"""The boards opened in Grafana itself, where it and a browser are found."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from builders import BOARDS, Board

from tests.free_ports import free_port

pytestmark = pytest.mark.programs

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = shutil.which("grafana")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")

if GRAFANA is None or BROWSER is None:
    pytest.skip(
        "grafana and chromium are not both on PATH: install them to open the boards",
        allow_module_level=True,
    )

PROVIDER = """\
apiVersion: 1
providers:
  - {name: midwatch, type: file, options: {path: %s}}
"""
DATASOURCES = """\
apiVersion: 1
datasources:
  - {name: Prometheus, uid: prometheus, type: prometheus, url: "http://127.0.0.1:9"}
  - {name: Tempo, uid: tempo, type: tempo, url: "http://127.0.0.1:9"}
"""


@pytest.fixture(scope="module")
def grafana(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Grafana on loopback with the boards provisioned, readable by everybody."""
    folder = tmp_path_factory.mktemp("grafana")
    port = free_port()
    for name, text in (
        ("dashboards/provider.yaml", PROVIDER % (ROOT / "grafana-dashboards/generated")),
        ("datasources/sources.yaml", DATASOURCES),
    ):
        file = folder / "provisioning" / name
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    home = Path(str(GRAFANA)).resolve().parents[1]
    settings = {
        "server.http_addr": "127.0.0.1",
        "server.http_port": str(port),
        "paths.data": str(folder / "data"),
        "paths.provisioning": str(folder / "provisioning"),
        "auth.anonymous.enabled": "true",
        "analytics.reporting_enabled": "false",
        "plugins.preinstall_disabled": "true",
    }
    command = [str(GRAFANA), "server", f"--homepath={home}"]
    command += [f"cfg:{name}={value}" for name, value in settings.items()]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as one,
    ):
        try:
            yield _ready(f"http://127.0.0.1:{port}", folder / "log")
        finally:
            one.terminate()


def _ready(url: str, log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/api/health", trust_env=False).status_code == httpx.codes.OK:
                return url
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(log.read_text(encoding="utf-8")[-2000:])


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_board_opens_with_all_its_panels(grafana: str, board: Board) -> None:
    made = httpx.get(f"{grafana}/api/dashboards/uid/{board.uid}", trust_env=False).json()
    ids = {panel["id"] for panel in made["dashboard"]["panels"]}
    assert {panel.id for panel in board.panels} <= ids
    command = [str(BROWSER), "--headless", "--no-sandbox", "--virtual-time-budget=15000"]
    command += ["--window-size=1600,6000", "--dump-dom", f"{grafana}/d/{board.uid}?kiosk"]
    page = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout
    assert board.rows[0].panels[0].title in page
    assert "Panel plugin not found" not in page
    assert "Failed to load dashboard" not in page
