"""What is derived from an application's HTTP traffic: chat requests, readiness, turns."""

from __future__ import annotations

import json
from dataclasses import dataclass

from midwatch.config import Settings
from midwatch.instruments.recorder import get_recorder
from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.rendering import OWN_PREFIXES, join_families
from midwatch.registry.own_metrics import SERVICE_READY

READY_PATH = "/readyz"
METRICS_PATH = "/metrics"
SESSION_HEADER = "x-session-id"
EXCLUDED_URLS = "/metrics(\\?|$),/readyz(\\?|$),/healthz(\\?|$)"

_MAX_BODY_BYTES = 64 * 1024
_SHOWN_PREFIXES = (*OWN_PREFIXES, "chat_", SERVICE_READY.prometheus_name)
_FIRST_SERVER_ERROR = 500
_FIRST_ERROR = 400


@dataclass(frozen=True)
class Traffic:
    """Decides what a request is to the shim, and records what came of it."""

    chat_routes: tuple[str, ...]
    namespace: str

    @classmethod
    def from_settings(cls, settings: Settings) -> Traffic:
        """As the settings say."""
        return cls(settings.chat_routes, settings.metrics_namespace)

    def is_chat(self, path: str) -> bool:
        """Whether the path is a chat route or below one."""
        return any(
            path == route or path.startswith(f"{route.rstrip('/')}/") for route in self.chat_routes
        )

    def concerns(self, path: str) -> bool:
        """Whether the shim does anything with requests to this path."""
        return path in {READY_PATH, METRICS_PATH} or self.is_chat(path)

    def answered(self, path: str, status: int | None) -> None:
        """A request was answered with this status, or with None ended in an exception."""
        if path == READY_PATH:
            get_recorder().ready(status is not None and status < _FIRST_ERROR)
        elif self.is_chat(path):
            get_recorder().chat_request(failed=status is None or status >= _FIRST_SERVER_ERROR)

    def merged(self, body: str) -> str:
        """The application's `/metrics` with what the shim knows beyond it."""
        return join_families(get_recorder().families(self.namespace, _SHOWN_PREFIXES), body)


def outcome_of_status(status: int | None) -> str:
    """The outcome of a turn that was answered so; empty for the default."""
    return "error" if status is None or status >= _FIRST_SERVER_ERROR else ""


def wants_body(content_type: str, length: str) -> bool:
    """Whether a request's body is JSON, and short enough to be looked into."""
    return (
        content_type.partition(";")[0].strip().lower() == "application/json"
        and length.isascii()
        and length.isdigit()
        and int(length) <= _MAX_BODY_BYTES
    )


def session_of_body(body: bytes) -> str:
    """The `session_id` of a JSON body, empty if there is none."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return ""
    except RecursionError as error:
        FAILURES.note("http.session", error)
        return ""
    session = parsed.get("session_id") if isinstance(parsed, dict) else None
    return str(session) if isinstance(session, str | int) else ""
