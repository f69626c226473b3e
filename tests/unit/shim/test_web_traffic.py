"""What the shim derives from the HTTP traffic of Flask and FastAPI applications.

Each application runs in a process of its own, since instrumentation changes the libraries.
"""

from __future__ import annotations

import json

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


@pytest.fixture(params=[FLASK, FASTAPI], ids=["flask", "fastapi"])
def talk(request, tmp_path, environment):
    """Runs an application and the given lines against it; gives what these put into `out`."""
    import subprocess
    import sys

    def run(lines: str, **variables: str) -> dict:
        program = f"{request.param}\nout = {{}}\n{lines}\n"
        program += "import json; print(); print(json.dumps(out))\n"
        (tmp_path / "app.py").write_text(program)
        exporters = {f"OTEL_{kind}_EXPORTER": "none" for kind in ("TRACES", "METRICS", "LOGS")}
        done = subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", "app.py"],
            cwd=tmp_path,
            env={
                **environment,
                **exporters,
                "AGENT_TRACE_JSONL_PATH": "events.jsonl",
                "OTEL_SERVICE_NAME": "app",
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout.splitlines()[-1])
        events = tmp_path / "events.jsonl"
        lines_written = events.read_text().splitlines() if events.exists() else []
        result["events"] = [json.loads(line) for line in lines_written]
        return result

    return run


def test_chat_requests_and_their_failures_are_counted(talk):
    out = talk(
        """
for body in ('{}', '{"status": 404}', '{"status": 503}', '{"message": "boom"}'):
    post(body)
out["metrics"] = get("/metrics")
"""
    )
    assert "\nchat_requests_total 4\n" in out["metrics"]
    assert "\nchat_failures_total 2\n" in out["metrics"]
    assert 'agent_turns_total{entry_agent="unknown",outcome="ok"} 2\n' in out["metrics"]
    assert 'agent_turns_total{entry_agent="unknown",outcome="error"} 2\n' in out["metrics"]


def test_the_readiness_route_decides_whether_the_service_is_ready(talk):
    out = talk(
        """
get("/readyz"); out["first"] = get("/metrics")
ready["status"] = 503
get("/readyz"); out["second"] = get("/metrics")
"""
    )
    assert "\nservice_ready 1\n" in out["first"]
    assert "\nservice_ready 0\n" in out["second"]


def test_the_applications_metrics_and_the_shims_are_one_text(talk):
    out = talk(
        """
post('{}')
out["metrics"] = get("/metrics")
""",
        AGENT_METRICS_NAMESPACE="my_agent",
    )
    assert out["metrics"].startswith("# TYPE mine counter\nmine 1\n")
    assert 'my_agent_agent_route_total{selected_agent="monitor"} 1\n' in out["metrics"]


def test_an_application_that_renders_by_hand_gets_nothing_added(talk):
    out = talk(
        """
post('{}')
out["metrics"] = get("/metrics?by_hand=1")
"""
    )
    assert out["metrics"].count("# TYPE agent_route_total counter") == 1
    assert "chat_requests_total" not in out["metrics"]


def test_other_responses_are_left_untouched(talk):
    out = talk('out["other"] = get("/other")')
    assert out["other"] == "untouched"


def test_a_chat_request_is_a_turn_of_the_session_in_its_body(talk):
    out = talk("""out["answer"] = post('{"session_id": "s1", "message": "hi"}')""")
    assert json.loads(out["answer"][1]) == {"session": "s1"}
    assert [event["event"] for event in out["events"]] == [
        "turn.started",
        "route.selected",
        "turn.finished",
    ]
    assert {event["session_id"] for event in out["events"]} == {"s1"}
    assert len({(event["trace_id"], event["turn_id"]) for event in out["events"]}) == 1
    assert out["events"][0]["trace_id"]


def test_the_session_header_is_taken_before_the_body(talk):
    out = talk("""post('{"session_id": "s1"}', headers={"X-Session-Id": "s2"})""")
    assert {event["session_id"] for event in out["events"]} == {"s2"}


def test_a_body_without_a_session_still_reaches_the_application(talk):
    out = talk(
        """
bodies = ['', '[1]', '{', '"text"', '{"session_id": {"a": 1}}', "[" * 50_000]
out["answers"] = [post(body)[0] for body in bodies]
"""
    )
    assert {event["session_id"] for event in out["events"]} == {""}
    assert [event["event"] for event in out["events"]].count("turn.finished") == 6


def test_the_chat_routes_can_be_set(talk):
    out = talk(
        """
post('{}')
out["metrics"] = get("/metrics")
""",
        MIDWATCH_CHAT_ROUTES="/talk",
    )
    assert "chat_requests_total" not in out["metrics"]


def test_probes_and_scrapes_make_no_spans(talk):
    out = talk(
        """
from opentelemetry import trace
names = []
class Seen:
    def on_start(self, span, parent_context=None): names.append(span.name)
    def on_end(self, span): pass
    def _on_ending(self, span): pass
    def shutdown(self): pass
    def force_flush(self, timeout_millis=0): return True
trace.get_tracer_provider().add_span_processor(Seen())
for path in ("/readyz", "/healthz", "/metrics"):
    get(path)
out["probes"] = list(names)
get("/other")
out["all"] = names
"""
    )
    assert out["probes"] == []
    assert len(out["all"]) == 1
    assert "/other" in out["all"][0]
