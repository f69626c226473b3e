"""The security agent under `midwatch-run`: its routes are counted as its supervisor chose them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("security_agent_session.py")


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the agent answered and what was recorded, `both` by hand too and `automatic` alone."""
    folder = tmp_path_factory.mktemp("session")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "MIDWATCH_", "AGENT_", "SECURITY_AGENT_"))
    }
    done = subprocess.run(
        ["midwatch-run", sys.executable, str(PROGRAM)],
        cwd=folder,
        env={
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
            "AGENT_METRICS_NAMESPACE": "security_agent",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def counted(text: str, metric: str, label: str) -> Counter[str]:
    found = re.findall(rf'^security_agent_{metric}{{.*?{label}="(\w+)".*}} (\d+)', text, re.M)
    totals: Counter[str] = Counter()
    for value, count in found:
        totals[value] += int(count)
    return +totals


@pytest.mark.parametrize("reporters", ["both", "automatic"])
def test_routes_are_the_supervisors_choices(sessions: dict[str, Any], reporters: str) -> None:
    session = sessions[reporters]
    chosen = Counter(agent for answer in session["answers"] for agent in answer["route"])
    assert len(chosen) == 3
    assert chosen.total() > len(session["answers"])
    assert counted(session["metrics"], "agent_route_total", "selected_agent") == chosen


@pytest.mark.parametrize("reporters", ["both", "automatic"])
def test_handoffs_go_there_and_back(sessions: dict[str, Any], reporters: str) -> None:
    session = sessions[reporters]
    chosen = Counter(agent for answer in session["answers"] for agent in answer["route"])
    reached = counted(session["metrics"], "agent_handoff_total", "to_agent")
    assert reached.pop("supervisor") > 0
    assert reached == chosen


@pytest.mark.parametrize("reporters", ["both", "automatic"])
def test_turns_enter_at_the_supervisor_unless_a_guard_ends_them(
    sessions: dict[str, Any], reporters: str
) -> None:
    session = sessions[reporters]
    denied = sum(not answer["route"] for answer in session["answers"])
    assert denied == 1
    assert counted(session["metrics"], "agent_turns_total", "entry_agent") == {
        "supervisor": len(session["answers"]) - denied,
        "unknown": denied,
    }
