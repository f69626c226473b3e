"""Programs whose threads are gevent's greenlets: nothing hangs, nothing is lost, parents stay."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import time
import gevent
import midwatch
midwatch.init()

def work(number):
    with midwatch.turn(f"s{number}"), midwatch.agent("clerk"):
        gevent.sleep(0.01)
        with midwatch.tool("lookup"):
            time.sleep(0.01)

jobs = [gevent.spawn(work, number) for number in range(20)]
gevent.joinall(jobs, raise_error=True)
"""


@pytest.mark.programs
def test_greenlets_keep_their_parents_and_everything_arrives_at_the_end(server):
    for _ in range(100):
        server.will_answer({})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            **os.environ,
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        },
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    spans = {
        span["spanId"]: span
        for path, body in server.requests
        if path == "/v1/traces"
        for resource in body["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }
    tools = [span for span in spans.values() if span["name"] == "execute_tool lookup"]
    assert len({span["traceId"] for span in tools}) == len(tools) == 20
    for span in tools:
        agent = spans[span["parentSpanId"]]
        assert agent["name"] == "invoke_agent clerk"
        assert spans[agent["parentSpanId"]]["name"] == "agent.turn"
