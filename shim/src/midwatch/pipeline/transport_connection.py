"""HTTP connections on which every step ends by a deadline, whoever is at the other end."""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from midwatch.pipeline.transport_parts import Deadline, Tls

_CHUNK_BYTES = 256 * 1024


class Connection:
    """A connection to one receiver, by way of a proxy if the environment names one.

    `target` is what a request line has to ask for, `headers` what the proxy wants to see.
    """

    def __init__(self, url: str, tls: Tls, deadline: Deadline) -> None:
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        proxy = _proxy_of(parts)
        secret = _proxy_credentials(proxy)
        self.target, self.headers = path, {}
        host, port = _address(proxy or parts)
        if parts.scheme == "https":
            self._http: _Timed = _TimedHttps(host, port, deadline, tls.context())
            if proxy is not None:
                self._http.set_tunnel(*_address(parts), headers=dict(secret))
        else:
            self._http = _TimedHttp(host, port, deadline)
            if proxy is not None:
                self.target, self.headers = f"http://{parts.netloc}{path}", secret

    def post(
        self, body: bytes, headers: Mapping[str, str], limit: int
    ) -> tuple[int, dict[str, str], bytes, bool]:
        """Send a request: status, headers, the answer's beginning, whether there can be a next.

        Raises:
            OSError: the receiver could not be reached, or not in time.
            http.client.HTTPException: it does not speak HTTP.
        """
        self._http.request("POST", self.target, body, {**headers, **self.headers})
        response = self._http.getresponse()
        answer = response.read(limit)
        # What is longer than anybody needs would have to be read before the next request.
        usable = response.isclosed() and not response.will_close
        answered = {name.lower(): value for name, value in response.headers.items()}
        return response.status, answered, answer, usable

    def close(self) -> None:
        """Let go of it."""
        self._http.close()


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket; a timeout of the socket alone would begin anew with every byte."""

    def __init__(self, raw: io.RawIOBase, connected: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._socket = connected
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(self._deadline.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response that is read by the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_DeadlineReader(raw, sock, deadline))


class _Timed(http.client.HTTPConnection):
    """Connects, sends and reads by the deadline."""

    deadline: Deadline

    def connect(self) -> None:
        self.timeout = self.deadline.remaining()
        super().connect()

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK_BYTES):
            self.sock.settimeout(self.deadline.remaining())
            self.sock.sendall(view[start : start + _CHUNK_BYTES])


class _TimedHttp(_Timed):
    def __init__(self, host: str, port: int, deadline: Deadline) -> None:
        super().__init__(host, port)
        self.deadline = deadline
        self.response_class = partial(_Response, deadline=deadline)  # type: ignore[assignment]


class _TimedHttps(_Timed, http.client.HTTPSConnection):
    def __init__(self, host: str, port: int, deadline: Deadline, context: ssl.SSLContext) -> None:
        http.client.HTTPSConnection.__init__(self, host, port, context=context)
        self.deadline = deadline
        self.response_class = partial(_Response, deadline=deadline)  # type: ignore[assignment]


def _address(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _proxy_of(parts: SplitResult) -> SplitResult | None:
    """The proxy that the environment names for a URL."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    # Reading the variables rightly is not simple, and importing what can do it is not cheap.
    from urllib import request

    proxies = request.getproxies_environment()
    host = parts.hostname or ""
    given = proxies.get(parts.scheme) or proxies.get("all")
    if not given or request.proxy_bypass_environment(host, proxies):  # type: ignore[attr-defined]
        return None
    proxy = urlsplit(given if "://" in given else f"http://{given}")
    if proxy.scheme != "http" or not proxy.hostname:
        raise ValueError(f"a proxy must be named by an http:// URL, not by {proxy.scheme}://")
    return proxy


def _proxy_credentials(proxy: SplitResult | None) -> dict[str, str]:
    if proxy is None or not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode('ascii')}"}
