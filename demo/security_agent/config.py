"""How the security agent is set up: environment variables with defaults, checked at start."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_PROJECT_ROOT = Path(os.getenv("SECURITY_AGENT_HOME", "")).resolve()
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
# Outside of every range, so that `AppConfig.problems` reports it together with the rest.
_NO_NUMBER = -1


class ConfigurationError(Exception):
    """Wrong settings; its text lists all of them with what is allowed."""


def _env_bool(name: str, default: bool) -> bool:
    value = os.getenv(name, "").strip().lower()
    if value in _TRUE:
        return True
    return default if value not in _FALSE else False


def _env_number(name: str, default: float) -> float:
    value = os.getenv(name, "").strip()
    if not value:
        return default
    try:
        return float(value)
    except ValueError:
        return _NO_NUMBER


def _env_int(name: str, default: int) -> int:
    number = _env_number(name, default)
    return int(number) if number == number // 1 else _NO_NUMBER


@dataclass
class ObservabilityConfig:
    """Where the agent's telemetry goes."""

    enabled: bool = field(default_factory=lambda: _env_bool("AGENT_OBSERVABILITY_ENABLED", True))
    metrics_namespace: str = field(
        default_factory=lambda: os.getenv("AGENT_METRICS_NAMESPACE", "security_agent")
    )
    trace_jsonl_path: str = field(
        default_factory=lambda: os.getenv(
            "AGENT_TRACE_JSONL_PATH",
            str(_PROJECT_ROOT / "data" / "logs" / "agent-traces.jsonl"),
        )
    )


@dataclass
class ModelConfig:
    """The model provider: the client itself reads `OPENAI_BASE_URL` and `OPENAI_API_KEY`."""

    chat_model: str = field(
        default_factory=lambda: os.getenv("SECURITY_AGENT_MODEL", "gpt-4.1-mini")
    )
    embedding_model: str = field(
        default_factory=lambda: os.getenv(
            "SECURITY_AGENT_EMBEDDING_MODEL", "text-embedding-3-small"
        )
    )
    base_url: str = field(
        default_factory=lambda: os.getenv("OPENAI_BASE_URL", "https://api.openai.com/v1")
    )
    has_key: bool = field(default_factory=lambda: bool(os.getenv("OPENAI_API_KEY")))
    timeout_seconds: float = field(
        default_factory=lambda: _env_number("SECURITY_AGENT_MODEL_TIMEOUT_SECONDS", 8)
    )
    max_retries: int = field(
        default_factory=lambda: _env_int("SECURITY_AGENT_MODEL_MAX_RETRIES", 1)
    )


@dataclass
class LimitsConfig:
    """What bounds a turn, a session, and the service."""

    turn_seconds: float = field(
        default_factory=lambda: _env_number("SECURITY_AGENT_TURN_SECONDS", 30)
    )
    tool_seconds: float = field(
        default_factory=lambda: _env_number("SECURITY_AGENT_TOOL_SECONDS", 3)
    )
    handoffs: int = field(default_factory=lambda: _env_int("SECURITY_AGENT_MAX_HANDOFFS", 14))
    sessions: int = field(default_factory=lambda: _env_int("SECURITY_AGENT_MAX_SESSIONS", 1000))


@dataclass
class AppConfig:
    """Everything the application can be told."""

    host: str = field(default_factory=lambda: os.getenv("HOST", "127.0.0.1"))
    port: int = field(default_factory=lambda: _env_int("PORT", 8080))
    threads: int = field(default_factory=lambda: _env_int("SECURITY_AGENT_THREADS", 8))
    log_level: str = field(default_factory=lambda: os.getenv("SECURITY_AGENT_LOG_LEVEL", "INFO"))
    appliance_url: str = field(
        default_factory=lambda: os.getenv("APPLIANCE_URL", "http://127.0.0.1:8002")
    )
    observability: ObservabilityConfig = field(default_factory=ObservabilityConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)

    def check(self) -> None:
        """Raise `ConfigurationError` with all problems, when there are any."""
        problems = self.problems()
        if problems:
            raise ConfigurationError(
                "The security agent can't start:\n" + "\n".join(f"- {text}" for text in problems)
            )

    def problems(self) -> list[str]:
        """What is wrong, each with the variable to change and what it may be."""
        problems = [
            text
            for name, value in (
                ("OPENAI_BASE_URL", self.model.base_url),
                ("APPLIANCE_URL", self.appliance_url),
            )
            for text in _url_problems(name, value)
        ]
        if not self.model.has_key:
            problems.append("OPENAI_API_KEY is not set: set the key of your model provider")
        for name, value, low, high in self._ranges():
            if not low <= value <= high:
                given = os.getenv(name, str(value))
                problems.append(f"{name}={given!r}: must be a number from {low:g} to {high:g}")
        levels = ("DEBUG", "INFO", "WARNING", "ERROR")
        if self.log_level.upper() not in levels:
            problems.append(
                f"SECURITY_AGENT_LOG_LEVEL={self.log_level!r}: must be one of {', '.join(levels)}"
            )
        given = os.getenv("AGENT_OBSERVABILITY_ENABLED", "")
        if given and given.strip().lower() not in _TRUE | _FALSE:
            problems.append(f"AGENT_OBSERVABILITY_ENABLED={given!r}: must be true or false")
        return problems

    def _ranges(self) -> tuple[tuple[str, float, float, float], ...]:
        return (
            ("PORT", self.port, 0, 65535),
            ("SECURITY_AGENT_THREADS", self.threads, 1, 256),
            ("SECURITY_AGENT_MODEL_TIMEOUT_SECONDS", self.model.timeout_seconds, 0.1, 600),
            ("SECURITY_AGENT_MODEL_MAX_RETRIES", self.model.max_retries, 0, 10),
            ("SECURITY_AGENT_TURN_SECONDS", self.limits.turn_seconds, 1, 3600),
            ("SECURITY_AGENT_TOOL_SECONDS", self.limits.tool_seconds, 0.1, 600),
            ("SECURITY_AGENT_MAX_HANDOFFS", self.limits.handoffs, 1, 20),
            ("SECURITY_AGENT_MAX_SESSIONS", self.limits.sessions, 1, 1_000_000),
        )


def _url_problems(name: str, value: str) -> list[str]:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        usable = usable and parts.port != 0
    except ValueError:
        usable = False
    return [] if usable else [f"{name}={value!r}: must be a URL such as http://127.0.0.1:8001/v1"]
