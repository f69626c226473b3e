"""Settings of who may do what, and of how long what is kept."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter
from pydantic_settings import BaseSettings, NoDecode

from midwatch_ledger.secret_files import SecretFile, secret_in

Role = Literal["viewer", "oncall", "admin"]
FileScope = Literal["admin", "ingest", "alerts"]
Grants = dict[str, Role | dict[str, Role]]


def _json_object(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from None


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a web address, such as https://login.example.com/realms/ops")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must begin with https:// (http:// is for this machine only)")
    return value.rstrip("/")


WebAddress = Annotated[str, AfterValidator(_web_address)]
Days = Annotated[int, Field(ge=0, le=36_500)]


def is_loopback(host: str) -> bool:
    """Return whether nobody but this machine reaches the address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class AccessSettings(BaseSettings):
    """Keys, logins, roles, limits."""

    api_key_file: SecretFile | None = None
    ingest_key_file: SecretFile | None = None
    alerts_key_file: SecretFile | None = None
    open: bool = False
    content_role: Literal["viewer", "oncall", "admin", "nobody"] = "oncall"
    requests_per_minute: int = Field(default=6_000, ge=1, le=10_000_000)
    address_requests_per_minute: int = Field(default=12_000, ge=1, le=10_000_000)
    address_failures_per_minute: int = Field(default=60, ge=1, le=1_000_000)
    public_url: WebAddress | None = None
    oidc_issuer: WebAddress | None = None
    oidc_client_id: str | None = None
    oidc_client_secret_file: SecretFile | None = None
    oidc_scopes: str = "openid profile email"
    oidc_groups_claim: str = "groups"
    oidc_roles: Annotated[Grants, NoDecode, BeforeValidator(_json_object)] = {}
    cookie_secure: bool = True
    session_hours: float = Field(default=12.0, gt=0, le=24 * 31)

    def file_keys(self) -> dict[FileScope, str]:
        """The keys from files, by what they are for."""
        files: dict[FileScope, Path | None] = {
            "admin": self.api_key_file,
            "ingest": self.ingest_key_file,
            "alerts": self.alerts_key_file,
        }
        return {scope: key for scope, file in files.items() if (key := secret_in(file))}

    def access_problems(self) -> list[str]:
        """What is wrong with these settings together, a line each."""
        problems = []
        missing = [
            name
            for name in ("oidc_client_id", "public_url", "oidc_roles")
            if not getattr(self, name)
        ]
        if self.oidc_issuer and missing:
            named = ", ".join(f"MIDWATCH_LEDGER_{name.upper()}" for name in missing)
            problems.append(f"MIDWATCH_LEDGER_OIDC_ISSUER: a login needs {named} as well; set them")
        keys = list(self.file_keys().values())
        if len(set(keys)) < len(keys):
            problems.append(
                "MIDWATCH_LEDGER_API_KEY_FILE, _INGEST_KEY_FILE, _ALERTS_KEY_FILE: two of them "
                "hold the same key, which would open more than it should; make one for each"
            )
        return problems


def _known_tables(value: Mapping[str, Any]) -> dict[str, int]:
    checked = TypeAdapter(dict[str, Days]).validate_python(value)
    unknown = sorted(set(checked) - set(RETAINED))
    if unknown:
        raise ValueError(f"there is no table {', '.join(unknown)}; there are {', '.join(RETAINED)}")
    return checked


RETAINED = (
    "agent_transitions",
    "alert_history",
    "cost_details",
    "daily_reports",
    "dead_letters",
    "events",
    "execution_logs",
    "feedback",
    "guardrail_decisions",
    "llm_call_logs",
    "performance_metrics",
    "spans",
    "workflow_traces",
)
"""The tables that have a retention."""

DaysByTable = Annotated[
    dict[str, int], NoDecode, BeforeValidator(_json_object), AfterValidator(_known_tables)
]


class RetentionSettings(BaseSettings):
    """How long what is kept, and where it goes then."""

    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    retention_tables: DaysByTable = {
        name: 400 for name in ("alert_history", "daily_reports", "performance_metrics")
    }
    retention_hours: float = Field(default=6.0, gt=0, le=24 * 31)
    archive_url: str | None = None
