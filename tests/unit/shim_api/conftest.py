"""Fixtures of the API's tests: captured telemetry in which nothing of Midwatch has failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from midwatch.testing import CapturedTelemetry
from opentelemetry.sdk.trace import ReadableSpan


@pytest.fixture
def telemetry(midwatch_telemetry: CapturedTelemetry) -> Iterator[CapturedTelemetry]:
    yield midwatch_telemetry
    assert midwatch_telemetry.failures == {}


@pytest.fixture
def attributes_of():
    def attributes(span: ReadableSpan) -> dict[str, Any]:
        return dict(span.attributes or {})

    return attributes
