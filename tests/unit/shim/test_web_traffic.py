"""What the shim derives from the HTTP traffic of Flask and FastAPI applications.

Each application runs in processes of its own, since instrumentation changes the libraries: one that
is asked everything in turn, and one with other settings.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FLASK = """
import flask, midwatch
assert midwatch.init()
app = flask.Flask(__name__)
ready = {"status": 200}

@app.post("/chat")
def chat():
    body = flask.request.get_json(silent=True) or {}
    midwatch.route("monitor")
    if body.get("message") == "boom":
        raise ValueError("boom")
    return {"session": body.get("session_id")}, body.get("status", 200)

@app.get("/readyz")
def readyz():
    return "ready", ready["status"]

@app.get("/healthz")
def healthz():
    return "alive"

@app.get("/metrics")
def metrics():
    text = "# TYPE mine counter\\nmine 1\\n"
    if flask.request.args.get("by_hand"):
        text += midwatch.get_agent_telemetry().render_prometheus()
    return flask.Response(text, mimetype="text/plain")

@app.get("/other")
def other():
    return flask.Response("untouched", mimetype="text/plain")

client = app.test_client()

def post(body, headers=None, content_type="application/json"):
    response = client.post("/chat", data=body, headers=headers, content_type=content_type)
    return response.status_code, response.text

def get(path):
    return client.get(path).text
"""

FASTAPI = """
import fastapi, midwatch
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.testclient import TestClient
assert midwatch.init()
app = fastapi.FastAPI()
ready = {"status": 200}

@app.post("/chat")
async def chat(request: fastapi.Request):
    try:
        body = await request.json()
    except ValueError:
        body = {}
    midwatch.route("monitor")
    if body.get("message") == "boom":
        raise ValueError("boom")
    return JSONResponse({"session": body.get("session_id")}, body.get("status", 200))

@app.get("/readyz")
def readyz():
    return PlainTextResponse("ready", ready["status"])

@app.get("/healthz")
def healthz():
    return "alive"

@app.get("/metrics")
def metrics(by_hand: str = ""):
    text = "# TYPE mine counter\\nmine 1\\n"
    if by_hand:
        text += midwatch.get_agent_telemetry().render_prometheus()
    return PlainTextResponse(text)

@app.get("/other")
def other():
    return PlainTextResponse("untouched")

client = TestClient(app, raise_server_exceptions=False)

def post(body, headers=None, content_type="application/json"):
    response = client.post(
        "/chat", content=body, headers={**(headers or {}), "content-type": content_type}
    )
    return response.status_code, response.text

def get(path):
    return client.get(path).text
"""


# The turns of these requests, in their order, are those of the events.
EVERYTHING = """
from opentelemetry import trace
names, out = [], {"answers": []}
class Seen:
    def on_start(self, span, parent_context=None): names.append(span.name)
    def on_end(self, span): pass
    def _on_ending(self, span): pass
    def shutdown(self): pass
    def force_flush(self, timeout_millis=0): return True
trace.get_tracer_provider().add_span_processor(Seen())

for path in ("/readyz", "/healthz", "/metrics"):
    get(path)
out["spans of probes"] = list(names)
out["other"] = get("/other")
out["spans"] = list(names)

get("/readyz"); out["while ready"] = get("/metrics")
ready["status"] = 503
get("/readyz"); out["while not ready"] = get("/metrics")

for body in ('{}', '{"status": 404}', '{"status": 503}', '{"message": "boom"}'):
    post(body)
out["metrics"] = get("/metrics")
out["metrics by hand"] = get("/metrics?by_hand=1")

out["answer"] = post('{"session_id": "s1", "message": "hi"}')
post('{"session_id": "s1"}', headers={"X-Session-Id": "s2"})
for body in ('', '[1]', '{', '"text"', '{"session_id": {"a": 1}}', "[" * 50_000):
    out["answers"].append(post(body)[0])
"""
OTHER_ROUTES = """
out = {}
post('{}')
out["metrics"] = get("/metrics")
"""


def started(application: str, lines: str, folder: Path, **variables: str) -> Any:
    """A process of an application that does what the lines say."""
    folder.mkdir()
    program = f"{application}\n{lines}\nimport json; print(); print(json.dumps(out))\n"
    (folder / "app.py").write_text(program)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "MIDWATCH_", "AGENT_"))
    }
    exporters = {f"OTEL_{kind}_EXPORTER": "none" for kind in ("TRACES", "METRICS", "LOGS")}
    return subprocess.Popen(
        [sys.executable, "-W", "error::RuntimeWarning", "app.py"],
        cwd=folder,
        env={
            **kept,
            **exporters,
            "HOME": str(folder),
            "AGENT_TRACE_JSONL_PATH": "events.jsonl",
            "OTEL_SERVICE_NAME": "app",
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: Any) -> dict[str, Any]:
    """What a process put into `out`."""
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return json.loads(output.splitlines()[-1])


@pytest.fixture(scope="module", params=[FLASK, FASTAPI], ids=["flask", "fastapi"])
def both(request, tmp_path_factory):
    """What was seen of an application by the usual settings, and with another route of chats."""
    folder = tmp_path_factory.mktemp("web")
    usual = started(request.param, EVERYTHING, folder / "usual", AGENT_METRICS_NAMESPACE="mine")
    other = started(request.param, OTHER_ROUTES, folder / "other", MIDWATCH_CHAT_ROUTES="/talk")
    try:
        seen = ended(usual)
        lines = (folder / "usual" / "events.jsonl").read_text().splitlines()
        seen["turns"] = by_turn([json.loads(line) for line in lines])
        return seen, ended(other)
    finally:
        usual.kill()
        other.kill()


@pytest.fixture
def out(both):
    """What was seen by the usual settings."""
    return both[0]


def by_turn(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The events of each turn, in the order in which the turns began."""
    turns: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        turns.setdefault(event["turn_id"], []).append(event)
    return list(turns.values())


def test_chat_requests_and_their_failures_are_counted(out):
    assert "\nmine_chat_requests_total 4\n" in out["metrics"]
    assert "\nmine_chat_failures_total 2\n" in out["metrics"]
    assert 'agent_turns_total{entry_agent="unknown",outcome="ok"} 2\n' in out["metrics"]
    assert 'agent_turns_total{entry_agent="unknown",outcome="error"} 2\n' in out["metrics"]


def test_the_readiness_route_decides_whether_the_service_is_ready(out):
    assert "\nmine_service_ready 1\n" in out["while ready"]
    assert "\nmine_service_ready 0\n" in out["while not ready"]


def test_the_applications_metrics_and_the_shims_are_one_text(out):
    assert out["metrics"].startswith("# TYPE mine counter\nmine 1\n")
    assert 'mine_agent_route_total{selected_agent="monitor"} 4\n' in out["metrics"]


def test_an_application_that_renders_by_hand_gets_nothing_added(out):
    assert out["metrics by hand"].count("# TYPE mine_agent_route_total counter") == 1
    assert "chat_requests_total" not in out["metrics by hand"]


def test_other_responses_are_left_untouched(out):
    assert out["other"] == "untouched"


def test_a_chat_request_is_a_turn_of_the_session_in_its_body(out):
    assert json.loads(out["answer"][1]) == {"session": "s1"}
    turn = out["turns"][4]
    assert [event["event"] for event in turn] == ["turn.started", "route.selected", "turn.finished"]
    assert {event["session_id"] for event in turn} == {"s1"}
    assert len({event["trace_id"] for event in turn}) == 1
    assert turn[0]["trace_id"]


def test_the_session_header_is_taken_before_the_body(out):
    assert {event["session_id"] for event in out["turns"][5]} == {"s2"}


def test_a_body_without_a_session_still_reaches_the_application(out):
    assert len(out["answers"]) == len(out["turns"][6:]) == 6
    for turn in out["turns"][6:]:
        assert {event["session_id"] for event in turn} == {""}
        assert turn[-1]["event"] == "turn.finished"


def test_the_chat_routes_can_be_set(both):
    assert "# TYPE agent_route_total counter" in both[1]["metrics"]
    assert "chat_requests_total" not in both[1]["metrics"]


def test_probes_and_scrapes_make_no_spans(out):
    assert out["spans of probes"] == []
    assert len(out["spans"]) == 1
    assert "/other" in out["spans"][0]
