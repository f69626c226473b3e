"""The libraries that the shim instruments, and who else might do it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """One library: the module whose import triggers it, and what is then called.

    `instrumentors` are entry points (`module:Class`), called in order. `rivals` are the
    distributions that would instrument the library a second time.
    """

    name: str
    module: str
    instrumentors: tuple[str, ...]
    official: str = ""
    rivals: tuple[str, ...] = ()
    at_once: bool = False


LIBRARIES: tuple[Library, ...] = (
    Library(
        "flask",
        "flask",
        ("midwatch.instrumentors.flask:FlaskInstrumentation",),
        official="opentelemetry-instrumentation-flask",
    ),
    Library(
        "fastapi",
        "fastapi",
        ("midwatch.instrumentors.fastapi:FastAPIInstrumentation",),
        official="opentelemetry-instrumentation-fastapi",
    ),
    Library(
        "httpx",
        "httpx",
        ("midwatch.instrumentors.http_clients:HttpxInstrumentation",),
        official="opentelemetry-instrumentation-httpx",
    ),
    Library(
        "httpx2",
        "httpx2",
        ("midwatch.instrumentors.http_clients:Httpx2Instrumentation",),
        official="opentelemetry-instrumentation-httpx",
    ),
    Library(
        "requests",
        "requests",
        ("opentelemetry.instrumentation.requests:RequestsInstrumentor",),
        official="opentelemetry-instrumentation-requests",
    ),
    Library(
        "threading",
        "threading",
        ("opentelemetry.instrumentation.threading:ThreadingInstrumentor",),
        official="opentelemetry-instrumentation-threading",
        at_once=True,
    ),
    Library(
        "langchain",
        "langchain_core",
        ("midwatch.instrumentors.langchain:LangChainInstrumentor",),
        rivals=(
            "opentelemetry-instrumentation-langchain",
            "opentelemetry-instrumentation-genai-langchain",
            "openinference-instrumentation-langchain",
        ),
    ),
    Library(
        "openai",
        "openai",
        ("midwatch.instrumentors.openai:OpenAIInstrumentor",),
        official="opentelemetry-instrumentation-genai-openai",
        rivals=(
            "opentelemetry-instrumentation-openai",
            "opentelemetry-instrumentation-openai-v2",
            "openinference-instrumentation-openai",
        ),
    ),
    Library(
        "structlog", "structlog", ("midwatch.instrumentors.log_records:StructlogInstrumentation",)
    ),
)
"""Every library, in the order in which it is reported."""

GENAI_TRAIN: tuple[tuple[str, str], ...] = (
    ("opentelemetry-util-genai", "1.3b0"),
    ("opentelemetry-instrumentation-genai-openai", "1.3b0"),
)
"""What must be installed in exactly these versions: a skew silently yields no spans at all."""
