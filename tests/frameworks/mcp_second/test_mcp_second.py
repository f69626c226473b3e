"""Release 2 of the MCP SDK."""

from __future__ import annotations

from tests.frameworks.mcp_behaviour import McpBehaviour, http_server

__all__ = ["http_server"]


class TestSecondRelease(McpBehaviour):
    """Everything that is shown of both."""
