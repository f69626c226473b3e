"""The libraries that are no agent frameworks: HTTP clients, databases, logging, threads, tasks."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import fakeredis
import midwatch
import redis
import requests
import sqlalchemy
import structlog
import urllib3
from opentelemetry import trace


def test_each_is_instrumented_on_its_import(states):
    for library in ("redis", "requests", "sqlalchemy", "structlog", "threading", "urllib3"):
        assert states[library] == "active", library
    assert tuple(int(part) for part in sqlalchemy.__version__.split(".")[:2]) >= (2, 1)


def test_requests_makes_one_span_and_hands_the_trace_on(seen, server):
    server.will_answer({})
    with midwatch.tool("fetch"):
        requests.get(f"{server.url}/x", timeout=5)
    assert seen.tree(without=()) == ["execute_tool fetch", "  GET"]
    trace_id = f"{seen.span('GET').context.trace_id:032x}"
    assert trace_id in server.headers[0]["traceparent"]


def test_urllib3_makes_one_span_and_hands_the_trace_on(seen, server):
    server.will_answer({})
    with midwatch.tool("fetch"), urllib3.PoolManager() as pool:
        pool.request("GET", f"{server.url}/x").release_conn()
    assert seen.tree(without=()) == ["execute_tool fetch", "  GET"]
    assert f"{seen.span('GET').context.trace_id:032x}" in server.headers[0]["traceparent"]


def test_sqlalchemy_makes_a_span_of_each_statement(seen):
    engine = sqlalchemy.create_engine("sqlite://")
    with midwatch.tool("lookup"), engine.connect() as connection:
        connection.execute(sqlalchemy.text("select 1")).all()
    engine.dispose()
    assert seen.tree() == ["execute_tool lookup", "  connect", "  select"]
    assert seen.span("select").attributes["db.system"] == "sqlite"


def test_redis_makes_a_span_of_each_command(seen):
    server = fakeredis.FakeServer()
    client = redis.Redis(connection_pool=fakeredis.FakeRedis(server=server).connection_pool)
    with midwatch.tool("cache"):
        client.set("a", "1")
    client.close()
    assert seen.tree() == ["execute_tool cache", "  SET"]


def test_threads_and_pools_keep_their_parent(seen):
    tracer = trace.get_tracer("test")

    def work(name: str) -> None:
        with tracer.start_as_current_span(name):
            pass

    with midwatch.agent("lead"):
        thread = threading.Thread(target=work, args=("by thread",))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work, "by pool").result()
    assert seen.tree() == ["invoke_agent lead", "  by thread", "  by pool"]


def test_tasks_keep_their_parent(seen):
    async def work(name: str) -> None:
        with trace.get_tracer("test").start_as_current_span(name):
            await asyncio.sleep(0)

    async def all_at_once() -> None:
        async with midwatch.agent("lead"):
            await asyncio.gather(work("first"), work("second"), asyncio.to_thread(lambda: None))

    asyncio.run(all_at_once())
    assert seen.tree() == ["invoke_agent lead", "  first", "  second"]


def test_log_records_of_both_kinds_name_the_trace(seen, caplog):
    with midwatch.agent("lead"):
        logging.getLogger("app").warning("hello")
    record = next(record for record in caplog.records if record.name == "app")
    assert record.trace_id == f"{seen.span('invoke_agent lead').context.trace_id:032x}"
    assert structlog.get_config()["processors"][0].__module__.startswith("midwatch.")


PROGRAM = """
import midwatch
midwatch.init()
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept = InMemorySpanExporter()
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(kept))
from midwatch.instrumentors.states import STATES

async def wanted():
    pass

async def main():
    await asyncio.gather(wanted())

asyncio.run(main())
import requests
print(dict(STATES.known()).get("asyncio"), dict(STATES.known()).get("requests"),
      [span.name for span in kept.get_finished_spans()])
"""


def run(**variables: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_asyncio_is_instrumented_when_asked_and_others_are_left_alone_when_asked():
    assert run() == "None active []"
    told = run(
        OTEL_PYTHON_ASYNCIO_COROUTINE_NAMES_TO_TRACE="wanted",
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="requests",
    )
    assert told == "active None ['asyncio coro-wanted']"
