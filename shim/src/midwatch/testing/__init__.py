"""For the tests of applications: what an agent's code told, without a collector, the same each run.

    def test_the_router_chooses_billing(midwatch_telemetry):
        answer("Where is my invoice?")
        assert midwatch_telemetry.metric("agent_route_total", selected_agent="billing") == 1

The fixture `midwatch_telemetry` comes with the package; `captured_telemetry()` is the same as a
with-block.
"""

from __future__ import annotations

from midwatch.testing.capture import captured_telemetry
from midwatch.testing.captured import CapturedTelemetry
from midwatch.testing.manual_sources import ManualClock

__all__ = ["CapturedTelemetry", "ManualClock", "captured_telemetry"]
