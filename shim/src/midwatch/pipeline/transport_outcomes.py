"""What a receiver's answer means, by the OTLP specification."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from time import time

from midwatch.pipeline.payloads import (
    Misconfigured,
    Outcome,
    Payload,
    Refused,
    Sent,
    Signal,
    Unavailable,
)

_RETRYABLE = frozenset({429, 502, 503, 504})
_OF_THE_SENDER = frozenset({*range(300, 400), 401, 403, 404, 405, 407})
"""Answers that do not depend on what was sent, only on who sent it where."""
_MESSAGE_CHARACTERS = 300
_SECRET_LENGTH = 4
_REJECTED = {
    "traces": "rejectedSpans",
    "logs": "rejectedLogRecords",
    "metrics": "rejectedDataPoints",
}
_MEANINGS = {
    401: "the key is wrong or missing",
    403: "the key may not write here",
    404: "there is no OTLP receiver at this path",
    405: "there is no OTLP receiver at this path",
    407: "the proxy wants credentials",
    413: "the batch is too large for the receiver",
    415: "the receiver does not take this encoding; set OTEL_EXPORTER_OTLP_PROTOCOL to another",
}


def http_outcome(
    payload: Payload, status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[str]
) -> Outcome:
    """The outcome of an HTTP response; whatever it repeats of the secrets is left out."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if 200 <= status < 300:
        refused, message = _rejected(payload.signal, kind, body)
        return Sent(refused, without(secrets, message))
    told = without(secrets, _message(kind, body))
    reason = ": ".join(filter(None, (f"HTTP {status}", _meaning(status), told)))
    if status in _RETRYABLE:
        return Unavailable(reason, retry_after(headers.get("retry-after")))
    return Misconfigured(reason) if status in _OF_THE_SENDER else Refused(reason)


def retry_after(given: str | None, now: float | None = None) -> float | None:
    """The seconds that a `Retry-After` header asks to wait: a number, or a date."""
    if given is None:
        return None
    try:
        seconds = float(given)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            at = parsedate_to_datetime(given.strip())
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        moment = datetime.fromtimestamp(time() if now is None else now, UTC)
        seconds = (at - moment).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def without(secrets: Iterable[str], text: str) -> str:
    """The text on one line, cut to a length, and without the secrets if it repeats them."""
    parts = {part for secret in secrets for part in _parts(secret) if len(part) >= _SECRET_LENGTH}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "***")
    return " ".join(text.split())[:_MESSAGE_CHARACTERS]


def _parts(header: str) -> Iterable[str]:
    """A header's value, the token in it, and what a token of the kind `Basic` is made of."""
    kind, _, token = header.rpartition(" ")
    yield header
    yield repr(header)[1:-1]
    yield token
    if kind.lower() == "basic":
        try:
            yield from b64decode(token).decode().split(":", 1)
        except ValueError:
            return


def _meaning(status: int) -> str:
    if 300 <= status < 400:
        return "redirects are not followed; set the endpoint to the final URL"
    return _MEANINGS.get(status, "")


def _rejected(signal: Signal, kind: str, body: bytes) -> tuple[int, str]:
    """How many items were refused for good; an answer that says nothing means none."""
    if not body:
        return 0, ""
    try:
        if kind == "application/json":
            partial = json.loads(body).get("partialSuccess") or {}
            return int(partial.get(_REJECTED[signal], 0)), str(partial.get("errorMessage", ""))
        if kind == "application/x-protobuf":
            from midwatch.pipeline.otlp_protobuf import rejected_of

            return rejected_of(signal, body)
    except Exception:
        # It said that it took them; that its answer is not understood changes nothing about it.
        return 0, ""
    return 0, ""


def _message(kind: str, body: bytes) -> str:
    """What the receiver says about the failure: the `message` of a status, or plain text."""
    text = body.decode("utf-8", "replace")
    if kind == "application/json":
        try:
            return str(json.loads(body)["message"])
        except (ValueError, KeyError, TypeError):
            return text
    if kind == "application/x-protobuf":
        # A `google.rpc.Status`: the text between its tags.
        return "".join(character if character.isprintable() else " " for character in text)
    return "" if kind == "text/html" else text
