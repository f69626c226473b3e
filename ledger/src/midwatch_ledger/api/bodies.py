"""Reading request bodies: bounded one by one and all together, gzip or plain."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fastapi import Request

from midwatch_ledger.api.problems import RETRY_AFTER_SECONDS, ProblemError

_PIECE = 256 * 1024
_GZIP_WINDOW = 31


class PendingBytes:
    """Counts the bytes of all requests that are being taken; refuses more than `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._taken = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Give a request its share, which is free again at the end of the block."""
        share = Share(self)
        try:
            yield share
        finally:
            self.change(-share.size)

    def change(self, size: int) -> None:
        """Take, or with a negative size give back.

        Raises:
            ProblemError: 429, the limit is reached.
        """
        with self._lock:
            if size > 0 and self._taken + size > self._limit:
                raise ProblemError(
                    429,
                    "too many bytes are waiting to be written; send them again later",
                    {"Retry-After": str(RETRY_AFTER_SECONDS)},
                )
            self._taken += size


class Share:
    """What one request has taken of the pending bytes."""

    def __init__(self, pending: PendingBytes) -> None:
        self._pending = pending
        self.size = 0

    def take(self, size: int) -> None:
        """Take more.

        Raises:
            ProblemError: 429, the limit is reached.
        """
        self._pending.change(size)
        self.size += size


@asynccontextmanager
async def read_body(
    request: Request, pending: PendingBytes, max_bytes: int
) -> AsyncIterator[bytes]:
    """Give the decoded body; its bytes count as pending until the end of the block.

    Raises:
        ProblemError: 413 too large, 415 unknown encoding, 400 broken gzip, 429 too much pending.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise ProblemError(
            415,
            f"content encoding {encoding!r} is not supported; send gzip or no encoding",
            {"Accept-Encoding": "gzip"},
        )
    with pending.share() as share:
        raw = await _read(request, share, max_bytes)
        if encoding == "gzip":
            raw = await asyncio.to_thread(_gunzip, raw, share, max_bytes)
        yield raw


async def _read(request: Request, share: Share, max_bytes: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > max_bytes:
            raise _too_large(max_bytes)
        share.take(len(chunk))
        body += chunk
    return bytes(body)


def _gunzip(raw: bytes, share: Share, max_bytes: int) -> bytes:
    body = bytearray()
    try:
        while raw:
            # A gzip file can be several, one after the other.
            member = zlib.decompressobj(_GZIP_WINDOW)
            while raw and not member.eof:
                piece = member.decompress(raw, _PIECE)
                if len(body) + len(piece) > max_bytes:
                    raise _too_large(max_bytes)
                share.take(len(piece))
                body += piece
                raw = member.unconsumed_tail
            if not member.eof:
                raise ProblemError(400, "the gzip body ends too early")
            raw = member.unused_data
    except zlib.error as error:
        raise ProblemError(400, f"the body is not gzip ({error})") from error
    return bytes(body)


def _too_large(max_bytes: int) -> ProblemError:
    return ProblemError(
        413,
        f"the body is larger than {max_bytes} bytes; send smaller batches or raise "
        "MIDWATCH_LEDGER_MAX_BODY_BYTES",
    )
