"""The tools: what the agents can ask of the appliance, and which of it a person must confirm."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal

import httpx
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import AfterValidator, BaseModel, ValidationError

from security_agent.config import AppConfig


def _address(value: str) -> str:
    """Refused before a person is asked to confirm it."""
    return str(ipaddress.ip_network(value.strip(), strict=False)).removesuffix("/32")


Address = Annotated[str, AfterValidator(_address)]
Mode = Literal["monitor", "balanced", "strict"]
Severity = Literal["high", "medium", "low", "all"]
Period = Literal["day", "week"]

DANGEROUS_TOOLS = frozenset({"tool_set_protection_mode", "tool_block_address"})
CHANGING_TOOLS = DANGEROUS_TOOLS | {"tool_unblock_address"}


class ToolFailedError(Exception):
    """The appliance refused or could not do what a tool asked."""


class ToolTimeoutError(ToolFailedError, TimeoutError):
    """The appliance did not answer in time."""


class Appliance:
    """A client of the appliance whose errors say what a person can do."""

    def __init__(self, base_url: str, timeout_seconds: float) -> None:
        self._client = httpx.Client(base_url=base_url, timeout=timeout_seconds)
        self._timeout_seconds = timeout_seconds

    def request(
        self, method: str, path: str, body: object = None, params: Mapping[str, str] | None = None
    ) -> str:
        """The appliance's answer as JSON text.

        Raises:
            ToolTimeoutError: no answer in time.
            ToolFailedError: no connection, or a refusal.
        """
        try:
            response = self._client.request(method, path, json=body, params=params)
        except httpx.TimeoutException as error:
            raise ToolTimeoutError(
                f"the appliance did not answer within {self._timeout_seconds:g} seconds"
            ) from error
        except httpx.HTTPError as error:
            raise ToolFailedError("the appliance can't be reached") from error
        if response.is_success:
            return json.dumps(response.json())
        raise ToolFailedError(f"the appliance answered {response.status_code}: {_detail(response)}")

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()


def _detail(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return response.text[:200]
    detail = body.get("detail") or body.get("problems") or body
    return detail if isinstance(detail, str) else json.dumps(detail)


def monitor_tools(appliance: Appliance) -> tuple[BaseTool, ...]:
    """The tools that only read."""

    def tool_get_status() -> str:
        """Protection mode, health, number of open alerts, blocked addresses, request rate."""
        return appliance.request("GET", "/api/status")

    def tool_list_alerts(severity: Severity = "all") -> str:
        """The open alerts, newest first, of one severity or all."""
        params = {} if severity == "all" else {"severity": severity}
        return appliance.request("GET", "/api/alerts", params=params)

    def tool_list_blocks() -> str:
        """The blocked addresses with reason and time."""
        return appliance.request("GET", "/api/blocks")

    def tool_get_report(period: Period = "day") -> str:
        """Totals of the last day or week: alerts by rule, blocked requests, top source."""
        return appliance.request("GET", f"/api/reports/{period}")

    return tuple(
        StructuredTool.from_function(function)
        for function in (tool_get_status, tool_list_alerts, tool_list_blocks, tool_get_report)
    )


def config_tools(appliance: Appliance) -> tuple[BaseTool, ...]:
    """The tools that read the mode and change the protection."""

    def tool_get_protection_mode() -> str:
        """The protection mode in force."""
        return appliance.request("GET", "/api/mode")

    def tool_set_protection_mode(mode: Mode) -> str:
        """Change the protection mode."""
        return appliance.request("PUT", "/api/mode", {"mode": mode})

    def tool_block_address(address: Address, reason: str = "") -> str:
        """Block an IP address or network."""
        return appliance.request("POST", "/api/blocks", {"address": address, "reason": reason})

    def tool_unblock_address(address: Address) -> str:
        """Remove a block."""
        return appliance.request("DELETE", f"/api/blocks/{address}")

    return tuple(
        StructuredTool.from_function(function)
        for function in (
            tool_get_protection_mode,
            tool_set_protection_mode,
            tool_block_address,
            tool_unblock_address,
        )
    )


@lru_cache(maxsize=1)
def get_appliance() -> Appliance:
    """The process's client of the appliance."""
    config = AppConfig()
    return Appliance(config.appliance_url, config.limits.tool_seconds)


def describe(tool: str, arguments: Mapping[str, object]) -> str:
    """What a dangerous call would do, in words for the person who confirms it."""
    if tool == "tool_set_protection_mode":
        return f"switch the protection mode to {arguments.get('mode')}"
    return f"block the address {arguments.get('address')}"


def takes(tool: BaseTool, arguments: Mapping[str, object]) -> bool:
    """Whether the tool would take the arguments: a person is not asked about nonsense."""
    schema = tool.args_schema
    try:
        if isinstance(schema, type) and issubclass(schema, BaseModel):
            schema.model_validate(dict(arguments))
    except ValidationError:
        return False
    return True


def invoke(tool: BaseTool, arguments: Mapping[str, object]) -> tuple[str, str]:
    """Run a tool: its status for the record (`ok`, `error`, `timeout`) and its answer."""
    try:
        return "ok", str(tool.invoke(dict(arguments)))
    except ToolTimeoutError as error:
        return "timeout", str(error)
    except ToolFailedError as error:
        return "error", str(error)
    except ValidationError as error:
        problems = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors() if e["loc"])
        return "error", f"the arguments are wrong: {problems}"
