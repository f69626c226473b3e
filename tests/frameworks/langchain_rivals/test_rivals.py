"""Other instrumentations of LangChain are installed: nothing is counted twice, and it is told."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from midwatch.instrumentors.states import STATES

RIVALS = ("opentelemetry-instrumentation-langchain", "openinference-instrumentation-langchain")
QUESTION: Any = {"messages": [("human", "why?")]}
OURS = [
    "invoke_workflow LangGraph",
    "  invoke_agent billing",
    "    chat unknown",
]


def run_agent() -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    answer = AIMessage("done", usage_metadata=usage)
    model = GenericFakeChatModel(messages=iter([answer]))
    graph: Any = StateGraph(MessagesState)
    graph.add_node("billing", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "billing")
    graph.compile().invoke(QUESTION)


def check_counted_once(seen: Any) -> None:
    assert seen.count("agent.llm.requests") == 1
    assert seen.count("agent.llm.tokens", token_type="input") == 10
    assert seen.count("agent.invocations", agent="billing") == 1
    assert seen.count("agent.turns") == 1
    assert len(seen.events("llm.called")) == 1


def test_with_rivals_installed_every_run_is_recorded_by_us_alone(seen: Any) -> None:
    run_agent()
    assert seen.tree() == OURS
    assert {span.instrumentation_scope.name for span in seen.spans()} == {"midwatch"}
    check_counted_once(seen)


def test_the_metric_shows_that_there_are_rivals(seen: Any) -> None:
    assert {("langchain", "active"), ("langchain", "rival")} <= set(STATES.known())
    labels = {(one["library"], one["state"]) for one in seen.present("midwatch.instrumented")}
    assert ("langchain", "rival") in labels


@contextmanager
def started(rival: str) -> Iterator[None]:
    """The rival at work, as an application starts it by hand."""
    if rival == "traceloop":
        from opentelemetry.instrumentation.langchain import LangchainInstrumentor as Rival
    else:
        from openinference.instrumentation.langchain import LangChainInstrumentor as Rival
    instrumentor = Rival()
    instrumentor.instrument(skip_dep_check=True)
    try:
        yield
    finally:
        instrumentor.uninstrument()


@pytest.mark.parametrize("rival", ["traceloop", "openinference"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_an_application_starts_by_hand_counts_nothing_twice(seen: Any, rival: str) -> None:
    with started(rival):
        run_agent()
    scopes = {span.instrumentation_scope.name for span in seen.spans()}
    assert len(scopes) > 1, "the rival is at work"
    check_counted_once(seen)


PROGRAM = "import test_rivals; test_rivals.run_agent()"


@pytest.mark.programs
def test_port_9464_in_use_harms_nothing() -> None:
    # The port that the Prometheus exporter takes is set to one that is surely taken.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = outside(
            "midwatch-run",
            sys.executable,
            "-c",
            PROGRAM,
            OTEL_TRACES_EXPORTER="console",
            OTEL_METRICS_EXPORTER="prometheus",
            OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
            OTEL_EXPORTER_PROMETHEUS_PORT=str(taken.getsockname()[1]),
        )
    assert done.returncode == 0, done.stderr
    assert spans_of(done) == 3
    assert "Address already in use" in done.stderr


def spans_of(done: subprocess.CompletedProcess[str]) -> int:
    names = [line for line in done.stdout.splitlines() if '"name": "' in line]
    return len([name for name in names if "chat" in name or "invoke" in name])


def outside(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={
            **os.environ,
            "MIDWATCH_SPOOL_MODE": "off",
            "PYTHONPATH": os.pathsep.join(
                [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
            ),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=150,
    )


@pytest.mark.programs
@pytest.mark.parametrize("runner", ["midwatch-run", "opentelemetry-instrument"])
def test_started_from_outside_the_rivals_are_not_loaded_and_the_operator_is_told(
    runner: str,
) -> None:
    done = outside(runner, sys.executable, "-c", PROGRAM, OTEL_TRACES_EXPORTER="console")
    assert done.returncode == 0, done.stderr
    assert spans_of(done) == 3
    for rival in RIVALS:
        assert f"{rival} is installed too and would record langchain a second time" in done.stderr


@pytest.mark.programs
def test_the_doctor_names_the_rivals_and_fails() -> None:
    doctor = "from midwatch.cli import app; app(['doctor', '--json'])"
    done = outside(sys.executable, "-c", doctor)
    assert done.returncode != 0
    findings = json.loads(done.stdout)["findings"]
    told = [found["detail"] for found in findings if found["status"] == "problem"]
    for rival in RIVALS:
        assert any(rival in detail for detail in told), told
