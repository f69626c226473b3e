"""The settings of direct export, to Langfuse and to LangSmith, without a collector."""

from __future__ import annotations

from dataclasses import dataclass

from midwatch.config import kinds
from midwatch.config.reading import setting

_S2 = "S2 (call monitoring)"
_S5 = "S5 (simulation tracing)"


@dataclass(frozen=True)
class Langfuse:
    """Where Langfuse is, for export without a collector."""

    public_key: str = setting(
        "LANGFUSE_PUBLIC_KEY",
        kinds.Text(),
        "",
        "The public key of the Langfuse project; with the secret key it turns direct export on.",
        origin=_S5,
    )
    secret_key: str = setting(
        "LANGFUSE_SECRET_KEY",
        kinds.Text(),
        "",
        "The secret key of the Langfuse project.",
        origin=_S5,
        secret=True,
    )
    host: str = setting(
        "LANGFUSE_HOST",
        kinds.Url(),
        "https://cloud.langfuse.com",
        "Where Langfuse is.",
        origin=_S5,
    )
    enabled: bool = setting(
        "LANGFUSE_ENABLED",
        kinds.Boolean(),
        True,
        "`false` turns direct export to Langfuse off although its keys are set.",
        origin=_S5,
    )
    sample_rate: float = setting(
        "LANGFUSE_SAMPLE_RATE",
        kinds.Number(0, 1),
        1.0,
        "The share of traces that Langfuse gets.",
        origin=_S5,
    )
    flush_interval_seconds: float = setting(
        "LANGFUSE_FLUSH_INTERVAL",
        kinds.Seconds(0.1, 3600),
        5.0,
        "How long spans for Langfuse wait for company before they are sent.",
        origin=_S5,
        default_text="5s",
    )
    max_retries: int = setting(
        "LANGFUSE_MAX_RETRIES",
        kinds.Whole(0, 100),
        3,
        "How often a batch for Langfuse is tried again at once, before it waits in the spool.",
        origin=_S5,
    )
    max_latency_ms: float = setting(
        "LANGFUSE_MAX_LATENCY_MS",
        kinds.Number(0, above=True),
        100.0,
        "The milliseconds a turn that tracing for Langfuse may cost, before it samples less.",
        origin=_S5,
    )
    buffer_size: int = setting(
        "LANGFUSE_BUFFER_SIZE",
        kinds.Whole(1),
        1000,
        "How many spans for Langfuse wait in memory at most.",
        origin=_S5,
    )
    debug: bool = setting(
        "LANGFUSE_DEBUG",
        kinds.Boolean(),
        False,
        "Log each request to Langfuse.",
        origin=_S5,
    )
    enable_sampling: bool = setting(
        "LANGFUSE_ENABLE_SAMPLING",
        kinds.Boolean(),
        True,
        "`false` sends Langfuse every trace, whatever `LANGFUSE_SAMPLE_RATE` says.",
        origin=_S5,
    )


@dataclass(frozen=True)
class Langsmith:
    """Where LangSmith is, for export without a collector."""

    api_key: str = setting(
        "LANGSMITH_API_KEY",
        kinds.Text(),
        "",
        "The key of the LangSmith workspace.",
        origin=_S2,
        secret=True,
    )
    endpoint: str = setting(
        "LANGSMITH_ENDPOINT",
        kinds.Url(),
        "https://api.smith.langchain.com",
        "Where LangSmith is.",
        origin=_S2,
    )
    project: str = setting(
        "LANGSMITH_PROJECT",
        kinds.Text(),
        "default",
        "The LangSmith project that gets the traces.",
        origin=_S2,
    )
    workspace_id: str = setting(
        "LANGSMITH_WORKSPACE_ID",
        kinds.Text(),
        "",
        "The workspace, for a key that is of several.",
        origin=_S2,
    )
    tracing: bool = setting(
        "LANGSMITH_TRACING",
        kinds.Boolean(),
        False,
        "`true`, with the key, turns direct export to LangSmith on.",
        origin=_S2,
    )
