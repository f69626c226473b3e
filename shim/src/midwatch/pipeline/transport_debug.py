"""A transport that says what it sends and what comes of it, for people who look for a fault."""

from __future__ import annotations

import logging

from midwatch.pipeline.payloads import Outcome, Payload, Transport

_logger = logging.getLogger("midwatch")


class LoggingTransport:
    """Another transport, with a log line for each attempt; no content and no key is in it."""

    def __init__(self, transport: Transport) -> None:
        self.destination = transport.destination
        self._transport = transport

    def send(self, payload: Payload, timeout_seconds: float) -> Outcome:
        """Try once, and log it."""
        outcome = self._transport.send(payload, timeout_seconds)
        _logger.info(
            "midwatch: %s: %d items of %s in %d bytes: %s",
            self.destination,
            payload.count,
            payload.signal,
            len(payload.body),
            outcome,
        )
        return outcome

    def close(self) -> None:
        """Let go of connections."""
        self._transport.close()
