"""What transports are made of: files for TLS, and the time that an attempt has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl import SSLContext


@dataclass(frozen=True)
class Tls:
    """Files for TLS: whom to trust (else the system's), and how to prove who we are."""

    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""

    def context(self) -> SSLContext:
        """What checks the other side.

        Raises:
            OSError: a file cannot be read, or does not hold what it should.
        """
        import ssl

        context = ssl.create_default_context(cafile=self.certificate or _authorities())
        if self.client_certificate:
            context.load_cert_chain(self.client_certificate, self.client_key or None)
        return context


class Deadline:
    """A moment by which things must be done; it is moved with each attempt."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._at = clock()

    def set(self, seconds: float) -> None:
        """Have it that many seconds from now."""
        self._at = self._clock() + seconds

    def remaining(self) -> float:
        """The seconds left, which are more than none.

        Raises:
            TimeoutError: there are none left.
        """
        left = self._at - self._clock()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return left


def _authorities() -> str | None:
    """A file of certificate authorities where Python's own place for them is empty."""
    import ssl

    places = ssl.get_default_verify_paths()
    if places.cafile or places.capath:
        return None
    try:
        import certifi
    except ImportError:
        return None
    return certifi.where()
