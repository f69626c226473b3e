"""The agent's configuration: S3's defaults, and errors that name the remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import security_agent
from security_agent.config import AppConfig, ConfigurationError


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in (
        "AGENT_OBSERVABILITY_ENABLED",
        "AGENT_METRICS_NAMESPACE",
        "AGENT_TRACE_JSONL_PATH",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "k")


def test_observability_defaults():
    cfg = AppConfig()
    assert cfg.observability.enabled is True
    assert cfg.observability.trace_jsonl_path.endswith("agent-traces.jsonl")
    assert cfg.observability.metrics_namespace == "security_agent"


def test_observability_follows_the_environment(monkeypatch):
    monkeypatch.setenv("AGENT_OBSERVABILITY_ENABLED", "false")
    monkeypatch.setenv("AGENT_METRICS_NAMESPACE", "other")
    monkeypatch.setenv("AGENT_TRACE_JSONL_PATH", "elsewhere.jsonl")
    cfg = AppConfig().observability
    assert (cfg.enabled, cfg.metrics_namespace) == (False, "other")
    assert cfg.trace_jsonl_path == "elsewhere.jsonl"


def test_all_wrong_settings_are_named_at_once_with_what_is_allowed(monkeypatch):
    wrong = {
        "OPENAI_BASE_URL": "localhost",
        "APPLIANCE_URL": "ftp://x",
        "SECURITY_AGENT_TURN_SECONDS": "soon",
        "SECURITY_AGENT_MAX_HANDOFFS": "2.5",
        "SECURITY_AGENT_LOG_LEVEL": "LOUD",
        "AGENT_OBSERVABILITY_ENABLED": "maybe",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigurationError) as caught:
        AppConfig().check()
    for name, value in wrong.items():
        assert f"{name}={value!r}: must be" in str(caught.value)
    assert "OPENAI_API_KEY is not set" in str(caught.value)


def test_the_example_environment_names_every_variable_and_has_the_defaults(monkeypatch):
    home = Path(security_agent.__file__).parent
    example = dict(
        re.findall(r"^([A-Z_]+)=(.*)$", (home / ".env.example").read_text("utf-8"), re.MULTILINE)
    )
    read = set(re.findall(r'"([A-Z]+_[A-Z_]+|HOST|PORT)"', (home / "config.py").read_text("utf-8")))
    assert set(example) == read - {"SECURITY_AGENT_HOME"}
    for name, value in example.items():
        monkeypatch.setenv(name, value)
    from_example = AppConfig()
    for name in example.keys() - {"OPENAI_API_KEY", "OPENAI_BASE_URL"}:
        monkeypatch.delenv(name)
    defaults = AppConfig()
    assert from_example.limits == defaults.limits
    assert from_example.model == defaults.model
    assert from_example.observability.enabled == defaults.observability.enabled
    assert defaults.observability.trace_jsonl_path.endswith(
        from_example.observability.trace_jsonl_path
    )
