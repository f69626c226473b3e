"""Reads names, colleagues and model calls off CrewAI's events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from midwatch.instrumentors.framework_models import ToldCall
from midwatch.instruments.tokens import TokenUsage

# What CrewAI puts before a model's name, and the conventions' name of that provider.
_PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "openai": "openai",
    "vertex_ai": "gcp.vertex_ai",
}
_READ = ("cached_prompt_tokens", "cached_tokens", "cache_read_input_tokens")
_WRITTEN = ("cache_creation_tokens", "cache_creation_input_tokens")


def name_of_workflow(event: Any) -> str:
    """The crew or the flow."""
    name = getattr(event, "crew_name", None) or getattr(event, "flow_name", None)
    return str(name or "crew")


def name_of_agent(event: Any) -> str:
    """The agent's role, which is its name."""
    agent = getattr(event, "agent", None)
    info = getattr(event, "agent_info", None)
    role = info.get("role") if isinstance(info, Mapping) else getattr(agent, "role", None)
    return str(role or "unknown").strip()


def delegation(event: Any) -> tuple[bool, str] | None:
    """Whether a colleague is asked (else handed the work) by a tool, and which one."""
    name = str(event.tool_name).lower().replace(" ", "_")
    if "coworker" not in name:
        return None
    given = event.tool_args
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return None
    colleague = given.get("coworker") if isinstance(given, Mapping) else None
    return ("question" in name, str(colleague).strip()) if colleague else None


def read_call(event: Any, call: ToldCall) -> None:
    """What the end of a model call tells."""
    given = str(getattr(event, "model", "") or "")
    prefix, slash, rest = given.partition("/")
    known = _PROVIDERS.get(prefix) if slash else None
    call.provider, call.model = (known, rest) if known else ("", given)
    usage = getattr(event, "usage", None)
    if isinstance(usage, Mapping):
        call.usage = TokenUsage(
            _count(usage, "prompt_tokens", "input_tokens"),
            _count(usage, "completion_tokens", "output_tokens"),
            _count(usage, *_READ),
            _count(usage, *_WRITTEN),
            _count(usage, "reasoning_tokens"),
        )


def _count(usage: Mapping[str, Any], *names: str) -> int:
    return next((value for name in names if isinstance(value := usage.get(name), int)), 0)
