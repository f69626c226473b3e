"""Which of Langfuse and LangSmith the environment asks for, without a collector in between.

Both get traces only. Neither knows of the other, nor of OTLP receivers beside them.
"""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.sdk.trace import ReadableSpan

from midwatch.config import Langfuse, Langsmith, Settings
from midwatch.config.reading import Problem
from midwatch.pipeline.destination import Destination, Limits
from midwatch.pipeline.payloads import Transport


def direct_destinations(
    settings: Settings, problems: dict[str, Problem]
) -> Iterator[Destination[ReadableSpan]]:
    """The destinations that are on; half a configuration is a problem and turns one off."""
    if settings.langfuse.enabled and _has_langfuse_keys(settings.langfuse, problems):
        yield _langfuse(settings.langfuse)
    if settings.langsmith.tracing and _is_key(
        "LANGSMITH_API_KEY", settings.langsmith.api_key, "LANGSMITH_TRACING=true", problems
    ):
        yield _langsmith(settings.langsmith)


def _has_langfuse_keys(langfuse: Langfuse, problems: dict[str, Problem]) -> bool:
    if not langfuse.public_key and not langfuse.secret_key:
        return False
    keys = {
        "LANGFUSE_PUBLIC_KEY": (langfuse.public_key, "LANGFUSE_SECRET_KEY"),
        "LANGFUSE_SECRET_KEY": (langfuse.secret_key, "LANGFUSE_PUBLIC_KEY"),
    }
    return all([_is_key(name, *given, problems) for name, given in keys.items()])


def _is_key(name: str, key: str, because: str, problems: dict[str, Problem]) -> bool:
    """Whether the key can be one: it goes into a header, and never into a message."""
    if key and key.isascii() and key.isprintable():
        return True
    given = "(not shown)" if key else ""
    allowed = f"the key, which {because} needs, of printable ASCII characters"
    problems[name] = Problem(name, given, allowed, "no export there")
    return False


def _langfuse(langfuse: Langfuse) -> Destination[ReadableSpan]:
    from midwatch.pipeline.direct_langfuse import PATH, langfuse_encoder, langfuse_transport
    from midwatch.pipeline.transport_debug import LoggingTransport

    transport: Transport = langfuse_transport(langfuse)
    return Destination(
        name="langfuse",
        endpoint=f"{langfuse.host.rstrip('/')}{PATH}",
        encode=langfuse_encoder(langfuse),
        transport=LoggingTransport(transport) if langfuse.debug else transport,
        limits=Limits(langfuse.max_retries, langfuse.flush_interval_seconds, langfuse.buffer_size),
    )


def _langsmith(langsmith: Langsmith) -> Destination[ReadableSpan]:
    from midwatch.pipeline.direct_langsmith import PATH, langsmith_encoder, langsmith_transport

    return Destination(
        name="langsmith",
        endpoint=f"{langsmith.endpoint.rstrip('/')}{PATH}",
        encode=langsmith_encoder(),
        transport=langsmith_transport(langsmith),
    )
