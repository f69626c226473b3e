"""Finds the page that an incident causes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stack.demo.sources import Sources
from stack.demo.steps import StepFailedError

_RESOLVED = re.compile(r"\bresolved\b", re.IGNORECASE)


@dataclass(frozen=True)
class Page:
    """A message that tells a person of the incident.

    Attributes:
        sink: `slack` or `smtp`.
        alert: the alert it names.
        message: as the sink keeps it.
        seconds: from the fault to its arrival.
    """

    sink: str
    alert: str
    message: dict[str, Any]
    seconds: float


def find_page(sources: Sources, sink: str, alerts: Iterable[str], fault_at: datetime) -> Page:
    """Return the first message since the fault that names one of the alerts as firing.

    Raises:
        StepFailedError: there is none yet.
    """
    wanted = tuple(alerts)
    received = [
        message
        for message in sources.messages(sink)
        if datetime.fromisoformat(message["received_at"]) >= fault_at
    ]
    for message in received:
        text = message_text(message)
        named = next((alert for alert in wanted if alert in text), None)
        if named is not None and not _RESOLVED.search(headline(message)):
            arrival = datetime.fromisoformat(message["received_at"])
            return Page(sink, named, message, (arrival - fault_at).total_seconds())
    others = f"; {len(received)} other messages came" if received else ""
    raise StepFailedError(
        f"no message names {' or '.join(wanted)} since the fault{others}",
        "alertmanager",
        "prometheus",
        sink,
    )


def pages_before(sources: Sources, sinks: Iterable[str], since: datetime) -> list[str]:
    """Return the headlines of messages that came although nothing was wrong."""
    return [
        f"{sink}: {headline(message)}"
        for sink in sinks
        for message in sources.messages(sink)
        if datetime.fromisoformat(message["received_at"]) >= since
    ]


def headline(message: dict[str, Any]) -> str:
    """Return the first line that a person sees."""
    if "subject" in message:
        return str(message["subject"])
    payload = message["payload"]
    attachments = payload.get("attachments") or [{}]
    for text in (attachments[0].get("title"), payload.get("text"), attachments[0].get("fallback")):
        if text:
            return str(text).splitlines()[0]
    return "(no headline)"


def message_text(message: dict[str, Any]) -> str:
    """Return everything in a message that may name an alert."""
    if "subject" in message:
        return "\n".join(filter(None, (message["subject"], message["text"], message["html"])))
    return json.dumps(message["payload"])
