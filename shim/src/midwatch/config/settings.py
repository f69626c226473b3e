"""The shim's own settings.

Each is one field: its variable, what it may be, its default, what it means and which source
document asks for it. `docs/reference/settings.md` is generated from them (`make reference`).
"""

# ruff: noqa: RUF009 (each call declares a field)
from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from midwatch.config import kinds
from midwatch.config.config_file import ConfigFile
from midwatch.config.direct import Langfuse, Langsmith
from midwatch.config.nodes import GraphSettings
from midwatch.config.reading import Problem, setting

CONTENT_MODES = ("off", "redacted", "full")
REDACT_ENGINES = ("patterns", "presidio")
SPOOL_MODES = ("on-failure", "write-ahead", "off")

_S1 = "S1 (cost and feedback)"
_S2 = "S2 (call monitoring)"
_S3 = "S3 (multi-agent observability)"
_S4 = "S4 (execution logs)"
_S5 = "S5 (simulation tracing)"


def _state_folder(environ: Mapping[str, str]) -> Path:
    state = environ.get("XDG_STATE_HOME") or environ.get("HOME")
    if not state:
        return Settings.spool_dir
    base = Path(state) if environ.get("XDG_STATE_HOME") else Path(state) / ".local" / "state"
    return base / "midwatch"


def _temporary_folder() -> Path:
    # `tempfile.gettempdir()` writes a file to see if it can, and raises where the disk is full.
    return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 (only a name, nothing is made)


@dataclass(frozen=True)
class Settings:
    """Every setting of the shim; `problems` are the values that were not taken."""

    enabled: bool = setting(
        "AGENT_OBSERVABILITY_ENABLED",
        kinds.Boolean(),
        True,
        "`false` turns all of Midwatch off in this process.",
        origin=_S3,
    )
    metrics_namespace: str = setting(
        "AGENT_METRICS_NAMESPACE",
        kinds.Namespace(),
        "",
        "The prefix of the metrics' names on `/metrics`.",
        origin=_S3,
    )
    trace_jsonl_path: Path | None = setting(
        "AGENT_TRACE_JSONL_PATH",
        kinds.AnyPath(),
        None,
        "The file that gets each event as a line of JSON.",
        origin=_S3,
    )
    content: str = setting(
        "MIDWATCH_CONTENT",
        kinds.Choice(CONTENT_MODES),
        "off",
        "Whether prompts, answers, arguments and comments leave the process: not at all, with "
        "personal data and secrets redacted, or as they are.",
        origin=_S1,
    )
    redact_patterns: tuple[re.Pattern[str], ...] = setting(
        "MIDWATCH_REDACT_PATTERNS",
        kinds.Patterns(),
        (),
        "What else is redacted.",
        origin=_S1,
    )
    redact_engine: str = setting(
        "MIDWATCH_REDACT_ENGINE",
        kinds.Choice(REDACT_ENGINES),
        "patterns",
        "What finds personal data: the table of patterns, or Presidio besides.",
    )
    content_max_bytes: int = setting(
        "MIDWATCH_CONTENT_MAX_BYTES",
        kinds.Size(1 << 10),
        128 << 10,
        "How much text one attribute holds; of a longer history the newest messages stay.",
        default_text="128KiB",
    )
    spool_dir: Path = setting(
        "MIDWATCH_SPOOL_DIR",
        kinds.AnyPath(),
        _temporary_folder() / "midwatch",
        "The folder that keeps what could not be sent; several processes may share it.",
        origin=_S2,
        fallback=_state_folder,
        default_text="`$XDG_STATE_HOME/midwatch`, else `~/.local/state/midwatch`",
    )
    spool_max_bytes: int = setting(
        "MIDWATCH_SPOOL_MAX_BYTES",
        kinds.Size(1 << 20),
        256 << 20,
        "How much the spool keeps; beyond it the oldest goes, and is counted.",
        origin=_S2,
        default_text="256MiB",
    )
    spool_mode: str = setting(
        "MIDWATCH_SPOOL_MODE",
        kinds.Choice(SPOOL_MODES),
        "on-failure",
        "When telemetry is written to disk: once sending fails, always before it is sent, never.",
        origin=_S5,
    )
    sample_ratio: float = setting(
        "MIDWATCH_SAMPLE_RATIO",
        kinds.Number(0, 1),
        1.0,
        "The share of turns that is traced; metrics count all of them.",
        origin=_S2,
    )
    adaptive_sampling: bool = setting(
        "MIDWATCH_ADAPTIVE_SAMPLING",
        kinds.Boolean(),
        True,
        "Trace fewer turns while tracing costs more than it may.",
        origin=_S5,
    )
    max_latency_ms: float = setting(
        "MIDWATCH_MAX_LATENCY_MS",
        kinds.Number(0, above=True),
        100.0,
        "The milliseconds that tracing may cost a turn.",
        origin=_S5,
    )
    max_overhead_percent: float = setting(
        "MIDWATCH_MAX_OVERHEAD_PERCENT",
        kinds.Number(0, 100, above=True),
        5.0,
        "The part of a turn's time that tracing may cost.",
        origin=_S2,
    )
    flush_interval_seconds: float = setting(
        "MIDWATCH_FLUSH_INTERVAL",
        kinds.Seconds(0.1, 3600),
        5.0,
        "How long telemetry waits for company before it is sent.",
        origin=_S5,
        default_text="5s",
    )
    max_retries: int = setting(
        "MIDWATCH_MAX_RETRIES",
        kinds.Whole(0, 100),
        3,
        "How often a batch is tried again at once, before it waits in the spool.",
        origin=_S5,
    )
    buffer_size: int = setting(
        "MIDWATCH_BUFFER_SIZE",
        kinds.Whole(1),
        1000,
        "How many spans, and how many events, wait in memory at most.",
        origin=_S5,
    )
    prices_file: Path | None = setting(
        "MIDWATCH_PRICES_FILE",
        kinds.ExistingPath(),
        None,
        "Your own prices of models, before the published ones.",
        origin=_S4,
    )
    prompts_dir: Path | None = setting(
        "MIDWATCH_PROMPTS_DIR",
        kinds.ExistingPath(folder=True),
        None,
        "The folder of the version-controlled prompts.",
        origin=_S1,
    )
    prompts_ttl_seconds: float = setting(
        "MIDWATCH_PROMPTS_TTL",
        kinds.Seconds(0.1, 86_400),
        60.0,
        "How old the ledger's answer on a prompt may be before it is asked again, in the "
        "background.",
        origin=_S1,
        default_text="60s",
    )
    prompts_timeout_seconds: float = setting(
        "MIDWATCH_PROMPTS_TIMEOUT",
        kinds.Seconds(0, 60),
        0.5,
        "How long the first use of a prompt waits for the ledger, before it goes on without.",
        origin=_S1,
        default_text="500ms",
    )
    prompts_cache_dir: Path = setting(
        "MIDWATCH_PROMPTS_CACHE_DIR",
        kinds.AnyPath(),
        _temporary_folder() / "midwatch" / "prompts",
        "The folder that keeps the ledger's answers across restarts.",
        origin=_S1,
        fallback=lambda environ: _state_folder(environ) / "prompts",
        default_text="`$XDG_STATE_HOME/midwatch/prompts`, else `~/.local/state/midwatch/prompts`",
    )
    ledger_url: str = setting(
        "MIDWATCH_LEDGER_URL",
        kinds.Url(),
        "",
        "The ledger that says which versions of prompts are in force.",
        origin=_S1,
    )
    ledger_api_key: str = setting(
        "MIDWATCH_LEDGER_API_KEY",
        kinds.Text(),
        "",
        "The key that the ledger gave this application.",
        origin=_S1,
        secret=True,
    )
    chat_routes: tuple[str, ...] = setting(
        "MIDWATCH_CHAT_ROUTES",
        kinds.Listed(
            "paths that begin with /, separated by commas", lambda route: route.startswith("/")
        ),
        ("/chat",),
        "The HTTP routes whose requests are turns.",
        origin=_S3,
    )
    service_name: str = "unknown_service"
    graphs: GraphSettings = field(default_factory=GraphSettings)
    langfuse: Langfuse = field(default_factory=Langfuse)
    langsmith: Langsmith = field(default_factory=Langsmith)
    config_file: ConfigFile | None = None
    problems: tuple[Problem, ...] = ()
