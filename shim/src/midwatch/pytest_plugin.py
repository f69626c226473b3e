"""The pytest fixture `midwatch_telemetry`. Loading it loads nothing of telemetry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from midwatch.testing import CapturedTelemetry


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker that says how the fixture captures."""
    config.addinivalue_line(
        "markers",
        "midwatch(content='off', instrument=False): how `midwatch_telemetry` captures; the "
        "arguments are those of `midwatch.testing.captured_telemetry`",
    )


@pytest.fixture
def midwatch_telemetry(request: pytest.FixtureRequest) -> Iterator[CapturedTelemetry]:
    """What the test's code tells of its agents: spans, metrics and events."""
    from midwatch.testing import captured_telemetry

    marker = request.node.get_closest_marker("midwatch")
    with captured_telemetry(**(marker.kwargs if marker else {})) as captured:
        yield captured
