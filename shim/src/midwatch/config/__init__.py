"""The shim's settings, read from the environment at once, with every wrong value reported."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from midwatch.config.reading import Problem, Reader

__all__ = ["Langfuse", "Langsmith", "ObservabilityConfig", "Problem", "Settings", "load_settings"]

CONTENT_MODES = ("off", "redacted", "full")
SPOOL_MODES = ("on-failure", "write-ahead", "off")


@dataclass(frozen=True)
class Langfuse:
    """Where Langfuse is, for export without a collector."""

    public_key: str = ""
    secret_key: str = field(default="", repr=False)
    host: str = "https://cloud.langfuse.com"
    enabled: bool = True
    sample_rate: float = 1.0
    flush_interval_seconds: float = 5.0
    max_retries: int = 3
    max_latency_ms: float = 100.0
    buffer_size: int = 1000
    debug: bool = False
    enable_sampling: bool = True


@dataclass(frozen=True)
class Langsmith:
    """Where LangSmith is, for export without a collector."""

    api_key: str = field(default="", repr=False)
    endpoint: str = "https://api.smith.langchain.com"
    project: str = "default"
    tracing: bool = False


@dataclass(frozen=True)
class Settings:
    """Every setting of the shim; `problems` are the values that were not taken."""

    enabled: bool = True
    metrics_namespace: str = ""
    trace_jsonl_path: Path | None = None
    content: str = "off"
    redact_patterns: tuple[re.Pattern[str], ...] = ()
    spool_dir: Path = Path(tempfile.gettempdir()) / "midwatch"
    spool_max_bytes: int = 256 << 20
    spool_mode: str = "on-failure"
    sample_ratio: float = 1.0
    adaptive_sampling: bool = True
    max_latency_ms: float = 100.0
    max_overhead_percent: float = 5.0
    flush_interval_seconds: float = 5.0
    max_retries: int = 3
    buffer_size: int = 1000
    prices_file: Path | None = None
    prompts_dir: Path | None = None
    ledger_url: str = ""
    ledger_api_key: str = field(default="", repr=False)
    chat_routes: tuple[str, ...] = ("/chat",)
    service_name: str = "unknown_service"
    langfuse: Langfuse = field(default_factory=Langfuse)
    langsmith: Langsmith = field(default_factory=Langsmith)
    problems: tuple[Problem, ...] = ()


@dataclass
class ObservabilityConfig:
    """The settings that an application may carry in its own configuration."""

    enabled: bool = field(default_factory=lambda: load_settings().enabled)
    metrics_namespace: str = field(default_factory=lambda: load_settings().metrics_namespace)
    trace_jsonl_path: str = field(
        default_factory=lambda: str(load_settings().trace_jsonl_path or "")
    )


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read all variables; never raises: a wrong value is in `problems`, its default in use."""
    environ = os.environ if environ is None else environ
    read = Reader(environ)
    return Settings(
        enabled=read.boolean("AGENT_OBSERVABILITY_ENABLED", True),
        metrics_namespace=read.namespace("AGENT_METRICS_NAMESPACE", ""),
        trace_jsonl_path=read.path("AGENT_TRACE_JSONL_PATH"),
        content=read.choice("MIDWATCH_CONTENT", CONTENT_MODES, "off"),
        redact_patterns=read.patterns("MIDWATCH_REDACT_PATTERNS"),
        spool_dir=read.path("MIDWATCH_SPOOL_DIR") or _state_folder(environ),
        spool_max_bytes=read.size("MIDWATCH_SPOOL_MAX_BYTES", 256 << 20, low=1 << 20),
        spool_mode=read.choice("MIDWATCH_SPOOL_MODE", SPOOL_MODES, "on-failure"),
        sample_ratio=read.number("MIDWATCH_SAMPLE_RATIO", 1.0, low=0, high=1),
        adaptive_sampling=read.boolean("MIDWATCH_ADAPTIVE_SAMPLING", True),
        max_latency_ms=read.number("MIDWATCH_MAX_LATENCY_MS", 100, low=0, above=True),
        max_overhead_percent=read.number(
            "MIDWATCH_MAX_OVERHEAD_PERCENT", 5, low=0, high=100, above=True
        ),
        flush_interval_seconds=read.seconds("MIDWATCH_FLUSH_INTERVAL", 5, low=0.1, high=3600),
        max_retries=read.whole("MIDWATCH_MAX_RETRIES", 3, low=0, high=100),
        buffer_size=read.whole("MIDWATCH_BUFFER_SIZE", 1000, low=1),
        prices_file=read.existing_path("MIDWATCH_PRICES_FILE", folder=False),
        prompts_dir=read.existing_path("MIDWATCH_PROMPTS_DIR", folder=True),
        ledger_url=read.url("MIDWATCH_LEDGER_URL"),
        ledger_api_key=read.text("MIDWATCH_LEDGER_API_KEY"),
        chat_routes=_routes(read, "MIDWATCH_CHAT_ROUTES", ("/chat",)),
        service_name=service_name(environ),
        langfuse=_langfuse(read),
        langsmith=_langsmith(read),
        problems=tuple(read.problems),
    )


def service_name(environ: Mapping[str, str]) -> str:
    """The service's name as OpenTelemetry reads it from the environment."""
    given = environ.get("OTEL_SERVICE_NAME", "").strip()
    if given:
        return given
    for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, _, value = pair.partition("=")
        if key.strip() == "service.name" and value.strip():
            return unquote(value.strip())
    return "unknown_service"


def _state_folder(environ: Mapping[str, str]) -> Path:
    state = environ.get("XDG_STATE_HOME") or environ.get("HOME")
    if not state:
        return Settings.spool_dir
    base = Path(state) if environ.get("XDG_STATE_HOME") else Path(state) / ".local" / "state"
    return base / "midwatch"


def _routes(read: Reader, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    given = tuple(route.strip() for route in read.text(name).split(",") if route.strip())
    if all(route.startswith("/") for route in given):
        return given or default
    read.refuse(name, "paths that begin with /, separated by commas", ",".join(default))
    return default


def _langfuse(read: Reader) -> Langfuse:
    usual = Langfuse()
    return Langfuse(
        public_key=read.text("LANGFUSE_PUBLIC_KEY"),
        secret_key=read.text("LANGFUSE_SECRET_KEY"),
        host=read.url("LANGFUSE_HOST", usual.host),
        enabled=read.boolean("LANGFUSE_ENABLED", usual.enabled),
        sample_rate=read.number("LANGFUSE_SAMPLE_RATE", usual.sample_rate, low=0, high=1),
        flush_interval_seconds=read.seconds(
            "LANGFUSE_FLUSH_INTERVAL", usual.flush_interval_seconds, low=0.1, high=3600
        ),
        max_retries=read.whole("LANGFUSE_MAX_RETRIES", usual.max_retries, low=0, high=100),
        max_latency_ms=read.number(
            "LANGFUSE_MAX_LATENCY_MS", usual.max_latency_ms, low=0, above=True
        ),
        buffer_size=read.whole("LANGFUSE_BUFFER_SIZE", usual.buffer_size, low=1),
        debug=read.boolean("LANGFUSE_DEBUG", usual.debug),
        enable_sampling=read.boolean("LANGFUSE_ENABLE_SAMPLING", usual.enable_sampling),
    )


def _langsmith(read: Reader) -> Langsmith:
    usual = Langsmith()
    return Langsmith(
        api_key=read.text("LANGSMITH_API_KEY"),
        endpoint=read.url("LANGSMITH_ENDPOINT", usual.endpoint),
        project=read.text("LANGSMITH_PROJECT", usual.project),
        tracing=read.boolean("LANGSMITH_TRACING", usual.tracing),
    )
