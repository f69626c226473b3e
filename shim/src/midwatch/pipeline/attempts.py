"""One attempt to send, with what an answer that is not about the payload leaves open settled."""

from __future__ import annotations

from midwatch.pipeline.payloads import (
    Misconfigured,
    Outcome,
    Payload,
    Refused,
    Transport,
    Unavailable,
)


def attempt(transport: Transport, payload: Payload, timeout_seconds: float) -> Outcome:
    """Try once to send; a `Misconfigured` outcome is really one.

    A firewall that takes offence at the words of one payload answers like a receiver that knows
    the sender not at all. An empty payload tells the two apart: who takes that either refuses this
    one, or was put right in between, and then takes it.
    """
    outcome = transport.send(payload, timeout_seconds)
    if not isinstance(outcome, Misconfigured):
        return outcome
    asked = transport.send(_empty(payload), timeout_seconds)
    if isinstance(asked, Unavailable):
        return outcome
    again = transport.send(payload, timeout_seconds)
    return Refused(again.reason) if isinstance(again, Misconfigured) else again


def _empty(payload: Payload) -> Payload:
    body = b"{}" if payload.content_type == "application/json" else b""
    return Payload(payload.signal, payload.content_type, body, 0)
