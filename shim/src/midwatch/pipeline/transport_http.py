"""OTLP over HTTP: one connection that is kept open, and one attempt a call, within its time.

Made of the standard library alone, so that the injected set brings no HTTP client that could be
another version than the application's own, and none that the shim itself instruments.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from midwatch.pipeline.payloads import Outcome, Payload, Unavailable
from midwatch.pipeline.transport_outcomes import http_outcome, without
from midwatch.pipeline.transport_parts import Deadline, Tls

if TYPE_CHECKING:
    from midwatch.pipeline.transport_connection import Connection

_GZIP_FORM = 31

RESPONSE_BYTES = 64 * 1024
"""No more of an answer is read."""


@dataclass(frozen=True)
class HttpTarget:
    """Where to send, and how: the whole URL, headers, and `gzip`, `deflate` or `none`."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    compression: str = "none"
    tls: Tls = field(default_factory=Tls)


class HttpTransport:
    """Posts payloads to one URL.

    Redirects are not followed, since they would carry credentials elsewhere. A kept connection
    that the receiver has closed in the meantime is opened anew within the same call.
    """

    def __init__(
        self, target: HttpTarget, destination: str, clock: Callable[[], float] = monotonic
    ) -> None:
        self.destination = destination
        self._target = target
        self._deadline = Deadline(clock)
        self._connection: Connection | None = None
        self._start_anew()
        renew = weakref.WeakMethod(self._start_anew)
        os.register_at_fork(after_in_child=lambda: (call := renew()) and call())

    def send(self, payload: Payload, timeout_seconds: float) -> Outcome:
        """Try once, within the time."""
        if not self._lock.acquire(timeout=max(timeout_seconds, 0.0)):
            return Unavailable("another attempt to reach this receiver is still under way")
        try:
            self._deadline.set(timeout_seconds)
            return self._send(payload)
        except Exception as error:
            self._drop_connection()
            told = without(self._target.headers.values(), str(error))
            return Unavailable(f"{type(error).__name__}: {told}")
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of the connection, unless it is in use."""
        if self._lock.acquire(blocking=False):
            try:
                self._drop_connection()
            finally:
                self._lock.release()

    def _start_anew(self) -> None:
        # A fork copies the lock as it happens to be, and shares the connection with the parent.
        self._lock = threading.Lock()
        self._drop_connection()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _send(self, payload: Payload) -> Outcome:
        body, encoding = _compressed(payload.body, self._target.compression)
        headers = {"User-Agent": "midwatch", **self._target.headers}
        headers["Content-Type"] = payload.content_type
        headers |= encoding
        if self._connection is not None:
            try:
                return self._exchange(self._connection, payload, body, headers)
            except ConnectionError:
                self._drop_connection()
        # Imported by the first attempt: a process that sends nothing does not pay for it.
        from midwatch.pipeline.transport_connection import Connection

        self._connection = Connection(self._target.url, self._target.tls, self._deadline)
        return self._exchange(self._connection, payload, body, headers)

    def _exchange(
        self, connection: Connection, payload: Payload, body: bytes, headers: Mapping[str, str]
    ) -> Outcome:
        status, answered, answer, usable = connection.post(body, headers, RESPONSE_BYTES)
        if not usable:
            self._drop_connection()
        return http_outcome(payload, status, answered, answer, self._target.headers.values())


def _compressed(body: bytes, compression: str) -> tuple[bytes, dict[str, str]]:
    if compression == "none":
        return body, {}
    import zlib

    # A low level: most of the gain for a third of the time.
    form = _GZIP_FORM if compression == "gzip" else zlib.MAX_WBITS
    compressor = zlib.compressobj(3, wbits=form)
    return compressor.compress(body) + compressor.flush(), {"Content-Encoding": compression}
