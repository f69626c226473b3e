"""Everything that the shim can record, recorded once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from midwatch.instruments.recorder import ModelCall, Recorder
from midwatch.instruments.turns import turn


def record_everything(recorder: Recorder) -> None:
    """Report each fact that there is."""
    recorder.chat_request(failed=True)
    recorder.ready(True)
    with turn(session_id="s1", recorder=recorder):
        recorder.invocation("supervisor", "ok", 0.2)
        recorder.route("monitor")
        for _ in range(3):
            recorder.handoff("supervisor", "monitor")
        recorder.tool_started("monitor", "search")
        recorder.tool_call("monitor", "search", "ok", 0.1)
        recorder.guardrail("input", "deny", "injection")
        recorder.selfrag_retrieved(5)
        recorder.selfrag_graded(5, 3)
        recorder.selfrag_decision("final", "grounded")
        for cost in (Decimal("0.01"), None):
            recorder.model_call(
                ModelCall(
                    agent="monitor",
                    provider="openai",
                    model="small",
                    seconds=1.0,
                    time_to_first_token=0.2,
                    input_tokens=10,
                    output_tokens=5,
                    cache_read_tokens=1,
                    cache_write_tokens=1,
                    reasoning_tokens=1,
                    cost_usd=cost,
                    chunks=3,
                )
            )
        recorder.model_call(
            ModelCall(agent="monitor", provider="openai", model="small", seconds=1.0, chunks=3)
        )
        recorder.decision("pricing", "raise", 0.9)
        recorder.message("pricing", "inventory")
        recorder.collaboration_started("replenish", ["pricing"])
        recorder.collaboration("replenish", "ok")
        recorder.conflict_detected("price", ["pricing", "promotion"])
        recorder.conflict("price", "priority")
        recorder.state_change("pricing", "idle", "busy")
        recorder.outcome("qualified", True)
        recorder.feedback("thumb", "up")
        recorder.prompt_use("greeting", "3")
    for number in range(120):
        recorder.route(f"agent-{number}")


@pytest.fixture
def everything() -> Callable[[Recorder], None]:
    return record_everything
