"""Settings of live clients."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

_MEBIBYTE = 1024 * 1024


class LiveSettings(BaseSettings):
    """How soon live clients are told, how many there may be, and how far each may be behind."""

    live_poll_seconds: float = Field(default=0.25, ge=0.01, le=60)
    live_heartbeat_seconds: float = Field(default=15.0, ge=0.05, le=300)
    live_clients: int = Field(default=200, ge=1, le=100_000)
    live_queue_messages: int = Field(default=1_000, ge=1, le=1_000_000)
    live_queue_bytes: int = Field(default=4 * _MEBIBYTE, ge=1024, le=1024 * _MEBIBYTE)
