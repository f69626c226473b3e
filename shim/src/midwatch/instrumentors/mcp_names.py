"""How the conventions name and describe what is asked over the Model Context Protocol."""

from __future__ import annotations

from midwatch.instruments.agent_context import current_tool

TOOL_METHOD = "tools/call"


def span_attributes(method: str, target: str) -> dict[str, str]:
    """What the conventions say about a request."""
    attributes = {"mcp.method.name": method}
    if method == TOOL_METHOD:
        attributes |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": target}
    elif method == "prompts/get":
        attributes["gen_ai.prompt.name"] = target
    elif method.startswith("resources/") and target:
        attributes["mcp.resource.uri"] = target
    return attributes


def span_name(method: str, target: str) -> str:
    """The conventions' name; a resource's address is no part of it, there may be any number."""
    named = target if method in (TOOL_METHOD, "prompts/get") else ""
    return f"{method} {named}".strip()


def is_recorded(method: str, target: str) -> bool:
    """Whether a span around this code is of the same tool's call; names may have prefixes."""
    around = current_tool()
    return method == TOOL_METHOD and bool(target) and around.endswith(target)
