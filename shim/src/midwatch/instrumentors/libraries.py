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
    distribution: str = ""
    """What has to be installed, where the name of the module alone proves nothing."""
    only_if: tuple[str, ...] = ()
    """Variables of which one has to be set, for what does nothing without."""


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
        "urllib3",
        "urllib3",
        ("opentelemetry.instrumentation.urllib3:URLLib3Instrumentor",),
        official="opentelemetry-instrumentation-urllib3",
    ),
    Library(
        "sqlalchemy",
        "sqlalchemy",
        ("midwatch.instrumentors.databases:SqlAlchemyInstrumentation",),
        official="opentelemetry-instrumentation-sqlalchemy",
    ),
    Library(
        "redis",
        "redis",
        ("opentelemetry.instrumentation.redis:RedisInstrumentor",),
        official="opentelemetry-instrumentation-redis",
    ),
    Library(
        "asyncio",
        "asyncio",
        ("opentelemetry.instrumentation.asyncio:AsyncioInstrumentor",),
        official="opentelemetry-instrumentation-asyncio",
        only_if=(
            "OTEL_PYTHON_ASYNCIO_COROUTINE_NAMES_TO_TRACE",
            "OTEL_PYTHON_ASYNCIO_FUTURE_TRACE_ENABLED",
            "OTEL_PYTHON_ASYNCIO_TO_THREAD_FUNCTION_NAMES_TO_TRACE",
        ),
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
        ("midwatch.instrumentors.official_clients:OpenAIInstrumentor",),
        official="opentelemetry-instrumentation-genai-openai",
        rivals=(
            "opentelemetry-instrumentation-openai",
            "opentelemetry-instrumentation-openai-v2",
            "openinference-instrumentation-openai",
        ),
    ),
    Library(
        "anthropic",
        "anthropic",
        ("midwatch.instrumentors.official_clients:AnthropicInstrumentor",),
        official="opentelemetry-instrumentation-genai-anthropic",
        rivals=(
            "opentelemetry-instrumentation-anthropic",
            "openinference-instrumentation-anthropic",
        ),
    ),
    Library(
        "google-genai",
        "google.genai",
        ("midwatch.instrumentors.official_clients:GoogleGenAIInstrumentor",),
        official="opentelemetry-instrumentation-google-genai",
        rivals=(
            "opentelemetry-instrumentation-google-generativeai",
            "openinference-instrumentation-google-genai",
        ),
    ),
    Library(
        "bedrock",
        "boto3",
        ("midwatch.instrumentors.official_clients:BedrockInstrumentor",),
        official="opentelemetry-instrumentation-genai-bedrock",
        rivals=(
            "opentelemetry-instrumentation-bedrock",
            "openinference-instrumentation-bedrock",
        ),
    ),
    Library(
        "openai-agents",
        "agents.run",
        ("midwatch.instrumentors.openai_agents:OpenAIAgentsInstrumentation",),
        rivals=(
            "opentelemetry-instrumentation-genai-openai-agents",
            "opentelemetry-instrumentation-openai-agents",
            "openinference-instrumentation-openai-agents",
        ),
        distribution="openai-agents",
    ),
    Library(
        "ag2",
        "ag2.agent",
        ("midwatch.instrumentors.ag2:Ag2Instrumentation",),
        rivals=(
            "opentelemetry-instrumentation-ag2",
            "openinference-instrumentation-autogen",
        ),
        distribution="ag2",
    ),
    Library(
        "crewai",
        "crewai.events.event_bus",
        ("midwatch.instrumentors.crewai:CrewAiInstrumentation",),
        rivals=(
            "opentelemetry-instrumentation-crewai",
            "openinference-instrumentation-crewai",
        ),
        distribution="crewai",
    ),
    Library(
        "mcp",
        "mcp",
        ("midwatch.instrumentors.mcp:McpInstrumentation",),
        rivals=(
            "opentelemetry-instrumentation-mcp",
            "openinference-instrumentation-mcp",
        ),
        distribution="mcp",
    ),
    Library(
        "structlog", "structlog", ("midwatch.instrumentors.log_records:StructlogInstrumentation",)
    ),
)
"""Every library, in the order in which it is reported."""

GENAI_TRAIN: tuple[tuple[str, str], ...] = (
    ("opentelemetry-util-genai", "1.3b0"),
    ("opentelemetry-instrumentation-genai-openai", "1.3b0"),
    ("opentelemetry-instrumentation-genai-anthropic", "1.3b0"),
    ("opentelemetry-instrumentation-google-genai", "1.3b0"),
    ("opentelemetry-instrumentation-genai-bedrock", "1.3b0"),
)
"""What must be installed in exactly these versions: a skew silently yields no spans at all."""
