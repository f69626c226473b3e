"""Applications that know nothing of Midwatch, in containers that have it: they are watched."""

from __future__ import annotations

import http.client
import subprocess
import time

import pytest

from tests.free_ports import free_port

pytestmark = pytest.mark.programs

EXPORTS = {f"OTEL_{signal}_EXPORTER": "otlp" for signal in ("TRACES", "METRICS", "LOGS")}
# What the chart's policy adds; it knows nothing of what the image and the ConfigMaps say.
ADDED = "MIDWATCH_DEFAULT_OTEL_EXPORTER_OTLP_ENDPOINT"

MODEL = """
from langchain_openai import ChatOpenAI

def said() -> str:
    return ChatOpenAI(model="gpt-4o", base_url=BASE, api_key="none").invoke("hello").content
"""
GRAPH = """
from typing import TypedDict
from langgraph.graph import END, START, StateGraph

class State(TypedDict):
    text: str

def answer(state: State) -> State:
    return {"text": said()}

graph = StateGraph(State)
graph.add_node("concierge", answer)
graph.add_edge(START, "concierge")
graph.add_edge("concierge", END)
print(graph.compile().invoke({"text": "hello"})["text"])
"""


def agent(model: str) -> str:
    """An agent that asks the model at an address."""
    return MODEL.replace("BASE", repr(f"{model}/v1")) + GRAPH


def test_an_agent_that_knows_nothing_of_telemetry_is_traced_and_priced(run, shop, receiver):
    code = agent(receiver.url)
    ended = run(shop, "-c", code, **EXPORTS, **{ADDED: receiver.url})
    assert (ended.code, ended.output) == (0, "hi\n"), ended.errors
    assert "Traceback" not in ended.errors
    assert {"invoke_agent concierge", "chat gpt-4o"} <= set(receiver.spans())
    assert {"agent.invocations", "agent.llm.tokens", "agent.llm.cost_usd"} <= set(
        receiver.metrics()
    )


def test_versions_that_fit_are_used_as_the_application_has_them(run, other_shop, receiver):
    python = other_shop("opentelemetry-api==1.45.0", "pyyaml==6.0.1")
    code = agent(receiver.url)
    code += "from importlib.metadata import version\n"
    code += "print(version('opentelemetry-api'), version('pyyaml'))\n"
    ended = run(python, "-c", code, **EXPORTS, **{ADDED: receiver.url})
    assert (ended.code, ended.output) == (0, "hi\n1.45.0 6.0.1\n"), ended.errors
    assert {"invoke_agent concierge", "chat gpt-4o"} <= set(receiver.spans())


def asked(address: str) -> bytes:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("POST", "/chat", b"{}")
        return connection.getresponse().read()
    except OSError:
        return b""
    finally:
        connection.close()


def test_a_server_with_workers_is_watched_in_each_of_them(variables, shop, receiver, tmp_path):
    (tmp_path / "web.py").write_text(
        "import flask, os\napp = flask.Flask('web')\n"
        "app.post('/chat')(lambda: {'pid': os.getpid()})\n"
    )
    address = f"127.0.0.1:{free_port()}"
    command = [shop.with_name("gunicorn"), "--workers", "2", "--bind", address, "web:app"]
    more = {ADDED: receiver.url, "MIDWATCH_FLUSH_INTERVAL": "200ms"}
    server = subprocess.Popen(
        command, cwd=tmp_path, env={**variables, **more}, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 60
        while "POST /chat" not in receiver.spans():
            assert time.monotonic() < deadline
            answer = asked(address)
            time.sleep(0.05 if answer else 0.5)
    finally:
        server.terminate()
        _, errors = server.communicate(timeout=30)
    assert "Traceback" not in errors
    assert "chat.requests" in receiver.metrics()


def test_a_process_that_imports_nothing_of_the_kind_is_left_as_it_is(run, shop):
    ended = run(shop, "-c", "import sys, json; print([n for n in sys.modules if 'telem' in n])")
    assert (ended.output, ended.errors) == ("[]\n", "")


def test_its_own_packages_go_before_what_is_injected(run, shop, tree):
    code = "import langgraph, opentelemetry.sdk, typing_extensions, yaml, sys\n"
    code += "print(typing_extensions.__file__, yaml.__file__, sys.path[-1], sep='|')"
    own, also_own, last = run(shop, "-c", code).output.strip().split("|")
    assert own.startswith(str(shop.parents[1]))
    assert also_own.startswith(str(shop.parents[1]))
    assert last == str(tree / "packages")


def test_what_is_not_asked_for_is_not_found(run, bare):
    # An application that tries whether it has a library must get the answer that it always got.
    code = "try:\n    import yaml\nexcept ImportError:\n    print('as ever')"
    assert run(bare, "-c", code).output == "as ever\n"


@pytest.mark.parametrize("option", ["-I", "-E", "-S", "-s", "-P", "-u", "-O"])
def test_a_python_with_any_option_runs_its_program(run, bare, option):
    ended = run(bare, option, "-c", "print('runs')")
    assert (ended.code, ended.output, ended.errors) == (0, "runs\n", "")


def test_a_command_that_is_not_python_notices_nothing(run):
    ended = run("/bin/sh", "-c", "echo runs")
    assert (ended.code, ended.output, ended.errors) == (0, "runs\n", "")


def test_it_works_without_a_home_and_where_nothing_can_be_written(run, shop, receiver):
    # Without a model, whose client takes a second to load.
    code = f"said = lambda: 'hi'\n{GRAPH}"
    nowhere = "/proc/midwatch"
    more = {"HOME": nowhere, "TMPDIR": nowhere, "XDG_STATE_HOME": nowhere, ADDED: receiver.url}
    ended = run(shop, "-B", "-c", code, **EXPORTS, **more)
    assert (ended.code, ended.output) == (0, "hi\n"), ended.errors
    assert "Traceback" not in ended.errors
    assert "invoke_agent concierge" in receiver.spans()


def test_children_of_the_program_are_watched_as_well(run, shop):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import flask'])"
    assert "midwatch: on" in run(shop, "-c", code).errors
