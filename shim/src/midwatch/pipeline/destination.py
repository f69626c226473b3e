"""One place where telemetry goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from midwatch.pipeline.payloads import Encoder, Transport

Item = TypeVar("Item")


@dataclass(frozen=True)
class Limits:
    """What a destination has of its own in place of what the shim's settings say."""

    max_retries: int | None = None
    flush_interval_seconds: float | None = None
    buffer_size: int | None = None


@dataclass(frozen=True)
class Destination(Generic[Item]):
    """One receiver of one signal.

    `name` is the same over restarts, also when the endpoint changes. `endpoint` is for people to
    read, and without credentials. A payload of no items need not be sent: the encoder may leave
    out what this receiver does not want.
    """

    name: str
    endpoint: str
    encode: Encoder[Item]
    transport: Transport
    timeout_seconds: float = 10.0
    limits: Limits = field(default_factory=Limits)
