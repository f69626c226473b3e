"""A real Chromium for tests, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_SECONDS = 60.0


class Tab:
    """One page of the browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self.told: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Any:
        """Have the browser do something; give what it answers."""
        self._number += 1
        self._connection.send(
            json.dumps({"id": self._number, "method": method, "params": parameters})
        )
        while True:
            said = json.loads(self._connection.recv(timeout=PATIENCE_SECONDS))
            if said.get("id") == self._number:
                assert "error" not in said, said
                return said["result"]
            self.told.append(said)

    def open(self, url: str) -> None:
        """Go somewhere and wait until it is there."""
        self.ask("Page.navigate", url=url)
        self.wait_for(f"location.href.startsWith({json.dumps(url.partition('#')[0])})")
        self.wait_for("document.readyState === 'complete'")

    def value(self, script: str) -> Any:
        """Give what a script comes to."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Wait until a script comes to something true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.value(script):
                return
            time.sleep(0.05)
        raise AssertionError(f"never: {script}")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.ask("Input.insertText", text=text)

    def appear(self, scheme: str, width: int = 1440, height: int = 900) -> None:
        """Look at the page as a screen of this kind does."""
        self.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def picture(self) -> bytes:
        """Give what is seen as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

    def complaints(self) -> list[str]:
        """Give what the browser has complained about, such as breaches of a page's policy."""
        return [
            str(one["params"]["entry"]["text"])
            for one in self.told
            if one.get("method") == "Log.entryAdded"
        ]


@contextmanager
def open_browser(folder: Path) -> Iterator[Tab]:
    """Start a browser of our own, with one tab."""
    command = [str(PROGRAM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run"]
    command += ["--disable-dev-shm-usage", "--no-proxy-server", "about:blank"]
    with _running(command, folder / "log") as process:
        port, path = _address(folder / "DevToolsActivePort", process)
        address = f"ws://127.0.0.1:{port}{path}"
        with connect(address, proxy=None, max_size=None, open_timeout=30) as browser:
            target = _ask(browser, "Target.getTargets")["targetInfos"]
            page = next(one["targetId"] for one in target if one["type"] == "page")
        page_address = f"ws://127.0.0.1:{port}/devtools/page/{page}"
        with connect(page_address, proxy=None, max_size=None, open_timeout=30) as tab:
            yield Tab(tab)


@contextmanager
def _running(command: list[str], file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a browser; what it leaves in the temporary folder for the next one goes with it."""
    with (
        TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as scratch,
        file.open("wb") as log,
    ):
        environment = {**os.environ, "TMPDIR": scratch}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _ask(connection: ClientConnection, method: str) -> Any:
    connection.send(json.dumps({"id": 0, "method": method}))
    while (said := json.loads(connection.recv(timeout=PATIENCE_SECONDS))).get("id") != 0:
        continue
    return said["result"]


def _address(file: Path, process: subprocess.Popen[bytes]) -> tuple[int, str]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            return int(lines[0]), lines[1]
        time.sleep(0.1)
    raise AssertionError("the browser did not start")
