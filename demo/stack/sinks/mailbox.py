"""Messages that were received, in order, kept in memory and in a file."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Mailbox:
    """Keeps messages; each gets the next number and the time of its arrival.

    Args:
        file: messages are appended to it as JSON lines and read back at the start, so that a sink
            that is restarted has lost nothing. None keeps them in memory only.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._messages: list[dict[str, Any]] = []
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.exists():
                lines = file.read_text(encoding="utf-8").splitlines()
                self._messages = [json.loads(line) for line in lines if line.endswith("}")]

    def add(self, message: dict[str, Any]) -> int:
        """Keep a message and return its number, counted from 1."""
        with self._lock:
            number = len(self._messages) + 1
            received = datetime.now(UTC).isoformat()
            self._messages.append({"id": number, "received_at": received, **message})
            if self._file is not None:
                with self._file.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(self._messages[-1]) + "\n")
            return number

    def after(self, number: int) -> list[dict[str, Any]]:
        """Return the messages with greater numbers."""
        with self._lock:
            return [dict(message) for message in self._messages if message["id"] > number]
