"""How OpenTelemetry's variables say that a signal is sent; wrong values become problems."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from midwatch.config.kinds import (
    Boolean,
    Choice,
    ExistingPath,
    Kind,
    Number,
    WrongValueError,
    shown,
)
from midwatch.config.reading import Problem
from midwatch.pipeline.payloads import Signal
from midwatch.pipeline.transport_parts import Tls

PROTOCOLS = ("http/json", "http/protobuf", "grpc")
DEFAULT_PROTOCOL = "http/json"
"""By measurement: encoding takes a quarter of protobuf's time, and imports nothing."""

_PREFIX = "OTEL_EXPORTER_OTLP_"
_HEADER_NAME = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
_HEADER_VALUE = re.compile(r"^[\t\x20-\x7e]*$")
_SECONDS, _LONGEST_SECONDS = 10.0, 300.0
_FROM_HERE_MILLISECONDS = 1000

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class OtlpSettings:
    """Where and how one signal is sent.

    `endpoint` is the whole URL over HTTP and `host:port` over gRPC, both without credentials.
    """

    protocol: str
    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    compression: str = "none"
    timeout_seconds: float = _SECONDS
    insecure: bool = False
    tls: Tls = field(default_factory=Tls)


class OtlpReader:
    """Reads the variables of one signal: its own first, then those for all signals."""

    def __init__(self, environ: Mapping[str, str], signal: Signal) -> None:
        self.problems: list[Problem] = []
        self._environ = environ
        self._signal = signal

    def settings(self, protocol: str | None = None) -> OtlpSettings:
        """The signal's settings; `protocol` overrides what the variables say."""
        chosen = self._read("PROTOCOL", Choice(PROTOCOLS), DEFAULT_PROTOCOL)
        protocol = protocol or chosen
        grpc = protocol == "grpc"
        url = self._url(grpc)
        headers = dict(self._read("HEADERS", _Headers(), {}, secret=True))
        if url.username:
            pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
            headers.setdefault("authorization", f"Basic {b64encode(pair.encode()).decode('ascii')}")
        host = url.netloc.rpartition("@")[2]
        insecure = self._read("INSECURE", Boolean(), False)
        return OtlpSettings(
            protocol=protocol,
            endpoint=host if grpc else url._replace(netloc=host).geturl(),
            headers=headers,
            compression=self._compression(grpc),
            timeout_seconds=self._timeout_seconds(),
            insecure=url.scheme == "http" if url.scheme else insecure,
            tls=self._tls(),
        )

    def _variable(self, name: str) -> str:
        own = f"{_PREFIX}{self._signal.upper()}_{name}"
        return own if self._environ.get(own, "").strip() else f"{_PREFIX}{name}"

    def _read(
        self, name: str, kind: Kind[_Value], default: _Value, *, secret: bool = False
    ) -> _Value:
        variable = self._variable(name)
        given = self._environ.get(variable, "").strip()
        if not given:
            return default
        try:
            return kind.parse(given)
        except WrongValueError as wrong:
            value = default if wrong.value is None else wrong.value
            used = wrong.used or shown(value)
            told = "(not shown)" if secret else given
            self.problems.append(Problem(variable, told, wrong.allowed or kind.allowed, used))
            return value  # type: ignore[return-value]

    def _url(self, grpc: bool) -> SplitResult:
        """The endpoint with the signal's path, which only the variable for all signals lacks."""
        default = "http://localhost:4317" if grpc else "http://localhost:4318"
        endpoint = self._read("ENDPOINT", _Endpoint(grpc), default)
        url = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        if grpc:
            return url
        if endpoint != default and self._variable("ENDPOINT") != f"{_PREFIX}ENDPOINT":
            return url._replace(path=url.path or "/")
        return url._replace(path=f"{url.path.rstrip('/')}/v1/{self._signal}")

    def _compression(self, grpc: bool) -> str:
        words = ("none", "gzip") if grpc else ("none", "gzip", "deflate")
        return self._read("COMPRESSION", Choice(words), "none")

    def _timeout_seconds(self) -> float:
        """Seconds, as OpenTelemetry's Python reads it; from 1000 on milliseconds, as specified."""
        given = self._read("TIMEOUT", Number(0, above=True), _SECONDS)
        return min(given / 1000 if given >= _FROM_HERE_MILLISECONDS else given, _LONGEST_SECONDS)

    def _tls(self) -> Tls:
        def path(name: str) -> str:
            found = self._read(name, ExistingPath(), None)
            return str(found) if found else ""

        return Tls(path("CERTIFICATE"), path("CLIENT_CERTIFICATE"), path("CLIENT_KEY"))


@dataclass(frozen=True)
class _Endpoint:
    """A URL; over gRPC the host and port alone are enough."""

    grpc: bool

    @property
    def allowed(self) -> str:
        if self.grpc:
            return "a URL such as http://collector:4317, or host:port"
        return "a URL that begins with http:// or https://, such as http://collector:4318"

    def parse(self, given: str) -> str:
        with_scheme = given.startswith(("http://", "https://"))
        try:
            url = urlsplit(given if with_scheme else f"//{given}")
            fits = bool(url.hostname) and (url.port is None or url.port > 0)
        except ValueError:
            fits = False
        if not fits or not (with_scheme or (self.grpc and "://" not in given)):
            raise WrongValueError
        return given


@dataclass(frozen=True)
class _Headers:
    """Pairs as in a URL; those that are right are used also when others are wrong."""

    allowed: str = "name=value pairs, separated by commas, special characters written as %XX"

    def parse(self, given: str) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        wrong = False
        for pair in filter(None, (part.strip() for part in given.split(","))):
            name, equals, value = pair.partition("=")
            name, value = unquote(name).strip().lower(), unquote(value).strip()
            if equals and _HEADER_NAME.match(name) and _HEADER_VALUE.match(value):
                headers[name] = value
            else:
                wrong = True
        if wrong:
            raise WrongValueError(value=headers, used="the pairs that are right")
        return headers
