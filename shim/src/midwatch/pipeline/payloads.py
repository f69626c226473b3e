"""What goes over the wire or onto disk: an encoded batch, who encodes it, who sends it.

A batch is encoded once, in the thread that exports. From then on it is bytes: it can be sent, kept
in the spool by this process, and sent by another one that knows nothing of spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

Signal = Literal["traces", "logs", "metrics"]

Item_contra = TypeVar("Item_contra", contravariant=True)


@dataclass(frozen=True)
class Payload:
    """An OTLP request, encoded and not compressed.

    `content_type` is `application/json` or `application/x-protobuf`; `count` is the number of
    spans, log records or data points in it.
    """

    signal: Signal
    content_type: str
    body: bytes
    count: int


@dataclass(frozen=True)
class Sent:
    """The receiver took the payload; it may have refused `refused` items of it for good."""

    refused: int = 0
    message: str = ""


@dataclass(frozen=True)
class Unavailable:
    """The payload was not taken, and may be sent again, not before `retry_after_seconds`."""

    reason: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True)
class Misconfigured(Unavailable):
    """The receiver takes nothing from this sender: a wrong key, or a wrong address.

    It is kept as for a receiver that is away, since somebody may correct that; to ask again at once
    is of no use.
    """


@dataclass(frozen=True)
class Refused:
    """The receiver will never take this payload."""

    reason: str


Outcome = Sent | Unavailable | Refused


class Encoder(Protocol[Item_contra]):
    """Makes payloads; never raises for a single bad item, which it leaves out and counts."""

    def __call__(self, batch: Sequence[Item_contra]) -> Payload:
        """Encode a batch."""


class Transport(Protocol):
    """Sends payloads of one signal to one receiver; one attempt a call, never raises.

    `destination` names the receiver in logs, metrics and the spool, without credentials.
    """

    destination: str

    def send(self, payload: Payload, timeout_seconds: float) -> Outcome:
        """Try once, within the time."""

    def close(self) -> None:
        """Let go of connections."""
