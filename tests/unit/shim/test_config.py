"""Settings are read at once; what is wrong is reported together and stops nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from midwatch import ObservabilityConfig
from midwatch.config import Settings, load_settings


def test_an_empty_environment_gives_the_documented_defaults():
    settings = load_settings({"HOME": "/home/someone"})
    assert settings.enabled is True
    assert settings.metrics_namespace == ""
    assert settings.trace_jsonl_path is None
    assert settings.content == "off"
    assert settings.flush_interval_seconds == 5
    assert settings.max_retries == 3
    assert settings.buffer_size == 1000
    assert settings.spool_max_bytes == 256 * 1024 * 1024
    assert settings.sample_ratio == 1
    assert settings.max_latency_ms == 100
    assert settings.max_overhead_percent == 5
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("variable", "given_value", "field", "expected"),
    [
        ("AGENT_OBSERVABILITY_ENABLED", "No", "enabled", False),
        ("AGENT_METRICS_NAMESPACE", "security_agent", "metrics_namespace", "security_agent"),
        ("MIDWATCH_CONTENT", "FULL", "content", "full"),
        ("MIDWATCH_FLUSH_INTERVAL", "500ms", "flush_interval_seconds", 0.5),
        ("MIDWATCH_FLUSH_INTERVAL", "7", "flush_interval_seconds", 7),
        ("MIDWATCH_SPOOL_MAX_BYTES", "2MiB", "spool_max_bytes", 2 * 1024 * 1024),
        ("MIDWATCH_SAMPLE_RATIO", "0.25", "sample_ratio", 0.25),
        ("MIDWATCH_CHAT_ROUTES", "/chat, /v2/chat", "chat_routes", ("/chat", "/v2/chat")),
        ("OTEL_SERVICE_NAME", "agent", "service_name", "agent"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,service.name=my%20agent", "service_name", "my agent"),
    ],
)
def test_a_right_value_is_taken(variable, given_value, field, expected):
    settings = load_settings({variable: given_value})
    assert getattr(settings, field) == expected
    assert settings.problems == ()


WRONG = {
    "AGENT_OBSERVABILITY_ENABLED": "perhaps",
    "AGENT_METRICS_NAMESPACE": "9-lives",
    "MIDWATCH_CONTENT": "everything",
    "MIDWATCH_REDACT_PATTERNS": "(",
    "MIDWATCH_SPOOL_MAX_BYTES": "many",
    "MIDWATCH_SPOOL_MODE": "always",
    "MIDWATCH_SAMPLE_RATIO": "1.5",
    "MIDWATCH_ADAPTIVE_SAMPLING": "2",
    "MIDWATCH_MAX_LATENCY_MS": "0",
    "MIDWATCH_MAX_OVERHEAD_PERCENT": "nan",
    "MIDWATCH_FLUSH_INTERVAL": "soon",
    "MIDWATCH_MAX_RETRIES": "-1",
    "MIDWATCH_BUFFER_SIZE": "0",
    "MIDWATCH_PRICES_FILE": "/no/such/file",
    "MIDWATCH_PROMPTS_DIR": "/no/such/folder",
    "MIDWATCH_LEDGER_URL": "ledger:8088",
    "MIDWATCH_CHAT_ROUTES": "chat",
    "LANGFUSE_HOST": "cloud",
    "LANGFUSE_SAMPLE_RATE": "-0.1",
    "LANGFUSE_MAX_RETRIES": "three",
    "LANGSMITH_TRACING": "maybe",
}


def test_all_wrong_values_are_reported_together_and_their_defaults_are_used():
    settings = load_settings(WRONG)
    assert {problem.variable for problem in settings.problems} == set(WRONG)
    usual = load_settings({})
    assert settings.content == usual.content
    assert settings.sample_ratio == usual.sample_ratio
    assert settings.buffer_size == usual.buffer_size
    assert settings.chat_routes == usual.chat_routes


@pytest.mark.parametrize("variable", WRONG)
def test_a_problem_says_what_was_given_what_is_allowed_and_what_is_used(variable):
    (problem,) = load_settings({variable: WRONG[variable]}).problems
    text = str(problem)
    assert variable in text
    assert repr(WRONG[variable]) in text
    assert "set it to" in text
    assert "in use now" in text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MIDWATCH_PRICES_FILE", "x" * 5000),
        ("MIDWATCH_PROMPTS_DIR", "~nobody-of-this-name/prompts"),
        ("MIDWATCH_BUFFER_SIZE", "9" * 5000),
        ("MIDWATCH_SPOOL_MAX_BYTES", "9" * 5000),
        ("MIDWATCH_FLUSH_INTERVAL", "9" * 5000),
        ("LANGFUSE_HOST", "http://[half"),
        ("MIDWATCH_REDACT_PATTERNS", "a{1,99999999999}"),
    ],
)
def test_values_that_are_hard_to_read_are_problems_like_others(variable, value):
    assert [one.variable for one in load_settings({variable: value}).problems] == [variable]


@given(st.dictionaries(st.sampled_from(sorted(WRONG)), st.text()))
def test_no_environment_makes_reading_raise(environ):
    assert isinstance(load_settings(environ), Settings)


def test_secrets_do_not_show_when_the_settings_are_printed():
    settings = load_settings(
        {
            "LANGFUSE_SECRET_KEY": "sk-lf-hidden",
            "LANGSMITH_API_KEY": "ls-hidden",
            "MIDWATCH_LEDGER_API_KEY": "ledger-hidden",
        }
    )
    assert "hidden" not in repr(settings)
    assert settings.langfuse.secret_key == "sk-lf-hidden"


def test_the_configuration_of_the_source_document_reads_the_same_variables(monkeypatch):
    monkeypatch.setenv("AGENT_OBSERVABILITY_ENABLED", "false")
    monkeypatch.setenv("AGENT_METRICS_NAMESPACE", "security_agent")
    monkeypatch.setenv("AGENT_TRACE_JSONL_PATH", "data/logs/agent-traces.jsonl")
    config = ObservabilityConfig()
    assert config.enabled is False
    assert config.metrics_namespace == "security_agent"
    assert config.trace_jsonl_path.endswith("agent-traces.jsonl")
