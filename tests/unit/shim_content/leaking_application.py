"""An application that says secrets and content in every way there is; run by the leak tests.

    python leaking_application.py PLANTS METRICS

PLANTS is a JSON file: `secrets`, the text that must never leave, and `contents`, a word for each
place that holds content. The rendered metrics are written to METRICS.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, TypedDict

import midwatch

midwatch.init()

import operator  # noqa: E402

import flask  # noqa: E402
from langchain_core.documents import Document  # noqa: E402
from langchain_core.language_models import FakeMessagesListChatModel  # noqa: E402
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage  # noqa: E402
from langchain_core.retrievers import BaseRetriever  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langgraph.graph import START, StateGraph  # noqa: E402
from midwatch.pipeline.failures import FAILURES  # noqa: E402
from opentelemetry import metrics, trace  # noqa: E402
from opentelemetry._logs import LogRecord, get_logger  # noqa: E402
from opentelemetry.trace import Status, StatusCode  # noqa: E402

PLANTS = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
SECRETS: str = PLANTS["secrets"]


def content(place: str) -> str:
    """What is said at a place: its word, and all secrets."""
    return f"{PLANTS['contents'][place]} {SECRETS}"


class Customer:
    """An object whose text is only made when somebody asks for it."""

    def __str__(self) -> str:
        return SECRETS


class State(TypedDict):
    messages: Annotated[list[Any], operator.add]


class Shelf(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document(page_content=content("document"))]


@tool
def look_up(key: str) -> str:
    """Look something up."""
    return content("tool result")


@tool
def fail(key: str) -> str:
    """Fail."""
    raise RuntimeError(content("tool error"))


def run_a_graph() -> None:
    model = FakeMessagesListChatModel(
        responses=[
            AIMessage(
                content("answer"),
                tool_calls=[{"name": "look_up", "args": {"key": content("call")}, "id": "1"}],
            )
        ]
    )

    def ask(state: State) -> dict[str, Any]:
        look_up.invoke({"key": content("tool argument")})
        Shelf().invoke(content("query"))
        return {"messages": [model.invoke(state["messages"])]}

    def break_down(_: State) -> dict[str, Any]:
        fail.invoke({"key": content("other argument")})
        return {}

    graph: Any = StateGraph(State)
    graph.add_node("asker", ask)
    graph.add_node("breaker", break_down)
    graph.add_edge(START, "asker")
    graph.add_edge("asker", "breaker")
    messages = [SystemMessage(content("instructions")), HumanMessage(content("prompt"))]
    try:
        graph.compile().invoke(
            {"messages": messages}, {"configurable": {"thread_id": "alice@example.com"}}
        )
    except RuntimeError:
        return


def call_the_api() -> None:
    with midwatch.turn(f"session of {SECRETS}"), midwatch.agent(f"agent {SECRETS}"):
        midwatch.route("writer", detail=SECRETS)
        midwatch.guardrail("pii", "deny", SECRETS, detail=SECRETS)
        midwatch.decision("writer", f"decided {SECRETS}")
        midwatch.event("app.event", {"text": SECRETS, "who": Customer(), "all": [{"x": SECRETS}]})
        midwatch.event(f"app {SECRETS}", {SECRETS: 1, "password": "hunter2hunter"})
        midwatch.feedback(thumbs="down", text=content("comment"))
        try:
            with midwatch.tool("search"):
                raise ValueError(content("api error"))
        except ValueError:
            pass
    midwatch.get_agent_telemetry().emit_event(
        "llm.called", trace_id=SECRETS, session_id=SECRETS, metadata={"comment": content("event")}
    )


def call_opentelemetry() -> None:
    tracer = trace.get_tracer("application")
    with tracer.start_as_current_span(f"span {SECRETS}") as span:
        span.set_attribute("app.note", SECRETS)
        span.set_attribute("app.notes", [SECRETS, "b"])
        span.set_attribute("gen_ai.input.messages", content("attribute"))
        span.set_attribute("url.full", f"https://example.com/x?q={content('url')}")
        span.set_attribute("http.request.header.authorization", [SECRETS])
        span.set_attribute("db.statement", f"insert into t values ('{content('sql')}')")  # noqa: S608
        span.add_event(f"event {SECRETS}", {"input.value": content("span event")})
        span.record_exception(ValueError(content("exception")))
        span.set_status(Status(StatusCode.ERROR, f"ValueError: {content('status')}"))
        tracer.start_span("linked", links=[trace.Link(span.get_span_context(), {"x": SECRETS})])
    counter = metrics.get_meter("application").create_counter("app_things")
    counter.add(1, {"label": SECRETS})
    get_logger("application").emit(
        LogRecord(
            body=SECRETS,
            attributes={"exception.message": content("log"), "note": {"deep": [SECRETS]}},
        )
    )


def serve() -> None:
    app = flask.Flask("application")

    @app.post("/chat")
    def chat() -> str:
        raise KeyError(content("view error"))

    app.config["PROPAGATE_EXCEPTIONS"] = False
    body = {"session_id": "alice@example.com", "message": content("body")}
    app.logger.disabled = True
    app.test_client().post("/chat", query_string={"q": content("query string")}, json=body)


def break_the_shim() -> None:
    try:
        raise ValueError(content("own failure"))
    except ValueError as error:
        FAILURES.note("test", error)


run_a_graph()
call_the_api()
call_opentelemetry()
serve()
break_the_shim()
Path(sys.argv[2]).write_text(midwatch.get_agent_telemetry().render_prometheus(), encoding="utf-8")
