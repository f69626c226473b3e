"""CrewAI as it is tested: its own telemetry is off, and what it warns of itself is let through."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_DISABLE_TRACKING="true",
    CREWAI_DISABLE_VERSION_CHECK="true",
    CREWAI_TRACING_ENABLED="false",
    CREWAI_STORAGE_DIR=tempfile.mkdtemp(prefix="midwatch-crewai-"),
)


def pytest_configure(config: pytest.Config) -> None:
    """CrewAI and what it builds on warn of their own deprecated ways."""
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning")
    config.addinivalue_line("filterwarnings", "ignore:Cannot set an attribute:ImportWarning")
    config.addinivalue_line("filterwarnings", "ignore::pydantic.warnings.PydanticDeprecatedSince20")


def pytest_unconfigure() -> None:
    """Leave nothing in the temporary folder."""
    shutil.rmtree(os.environ["CREWAI_STORAGE_DIR"], ignore_errors=True)
