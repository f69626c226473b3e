"""Faults on command: started, seen, ended, and refused when they make no sense."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from model_server.application import create_app
from model_server.engine import Engine
from model_server.settings import Settings
from model_server.skills import Message, ModelRequest
from openai.types.chat import ChatCompletionMessageParam

SUPERVISOR = "You are the supervisor of a security operations assistant."


def ask(url: str, system: str, model: str = "gpt-4.1-mini", request: str = "x") -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        messages: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": system},
            {"role": "user", "content": f"Request: {request}"},
        ]
        answer = client.chat.completions.create(model=model, messages=messages)
        return str(answer.choices[0].message.content)


@pytest.mark.parametrize(
    ("fault", "parameters", "field", "named"),
    [
        ("rate-limit", {"probability": 0}, "probability", "greater than 0"),
        ("rate-limit", {"retry_after_seconds": -1}, "retry_after_seconds", "greater than or equal"),
        ("server-error", {"status": 404}, "status", "greater than or equal to 500"),
        ("slow", {"seconds": 3}, "seconds", "not permitted"),
        ("expensive", {"factor": "many"}, "factor", "number"),
        ("slow", {"model": "gpt-99"}, "model", "gpt-4.1-mini"),
        ("slow", {"skill": "cooking"}, "skill", "security.supervisor"),
    ],
)
def test_wrong_parameters_are_refused_with_field_value_and_what_is_allowed(
    model_server, fault, parameters, field, named
):
    answer = model_server.put(f"/control/faults/{fault}", parameters)
    assert answer.status_code == 422
    problem = answer.json()["problems"][0]
    assert problem["field"] == field
    assert named in problem["message"]
    assert "probability" in answer.json()["allowed"]


@pytest.mark.parametrize("body", ["{", "[1]", "7"])
def test_a_body_that_is_no_json_object_is_refused(model_server, body):
    answer = model_server.client.put("/control/faults/slow", content=body)
    assert answer.status_code == 422
    assert "no JSON" in answer.json()["error"]


def test_all_wrong_parameters_are_named_at_once(model_server):
    answer = model_server.put("/control/faults/slow", {"extra_seconds": 0, "probability": 2})
    assert {p["field"] for p in answer.json()["problems"]} == {"extra_seconds", "probability"}


def test_a_refused_change_leaves_the_active_fault_as_it_was(model_server):
    model_server.fault("slow", extra_seconds=0.5)
    model_server.put("/control/faults/slow", {"extra_seconds": -1})
    assert model_server.get("/control/state").json()["faults"]["slow"]["extra_seconds"] == 0.5


def test_an_unknown_fault_is_refused_with_the_known_ones(model_server):
    answer = model_server.put("/control/faults/earthquake")
    assert answer.status_code == 404
    assert "cut-stream" in answer.json()["error"]


def test_the_state_shows_active_faults_with_their_hits_and_ends_with_them(model_server):
    model_server.fault("server-error", status=503)
    with pytest.raises(openai.InternalServerError):
        ask(model_server.url, SUPERVISOR)
    fault = model_server.get("/control/state").json()["faults"]["server-error"]
    assert (fault["status"], fault["hits"]) == (503, 1)
    assert model_server.delete("/control/faults/server-error").json()["was_active"] is True
    assert model_server.delete("/control/faults/server-error").json()["was_active"] is False
    assert model_server.get("/control/state").json()["faults"] == {}


def test_a_fault_for_one_skill_or_application_leaves_the_others_alone(model_server):
    for limited in ("security", "security.supervisor"):
        model_server.fault("server-error", skill=limited)
        with pytest.raises(openai.InternalServerError):
            ask(model_server.url, SUPERVISOR)
        assert ask(model_server.url, "You are a poet.")


def test_a_fault_for_one_model_leaves_the_others_alone(model_server):
    model_server.fault("server-error", model="gpt-4o")
    with pytest.raises(openai.InternalServerError):
        ask(model_server.url, SUPERVISOR, "gpt-4o")
    assert ask(model_server.url, SUPERVISOR)


def answered(url: str, *, stream: bool) -> tuple[set[str], bool]:
    """The models that an answer names, and whether it comes with its token counts."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        create: Any = client.chat.completions.create
        said = [{"role": "user", "content": "Hello"}]
        more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        answer = create(model="gpt-4o", messages=said, **more)
        parts = [*answer] if stream else [answer]
    return {part.model for part in parts}, any(part.usage for part in parts)


@pytest.mark.parametrize("stream", [False, True])
def test_answers_can_come_without_token_counts_or_from_another_model(model_server, stream):
    assert answered(model_server.url, stream=stream) == ({"gpt-4o"}, True)
    model_server.fault("uncounted")
    assert answered(model_server.url, stream=stream) == ({"gpt-4o"}, False)
    model_server.put("/control/faults/renamed", {"name": "orchid-1"})
    assert answered(model_server.url, stream=stream) == ({"orchid-1"}, False)


def test_a_provider_that_names_its_builds_has_many_names_for_one_model():
    engine = Engine(Settings())
    engine.faults.start("renamed", {"name": "orchid-1-build", "builds": 5000})
    requests = [ModelRequest("gpt-4o", (Message("user", f"q {n}"),)) for n in range(150)]
    names = {engine.answer(engine.open(request), None).model for request in requests}
    # More than the 100 models that a label has room for.
    assert len(names) > 120
    assert all(name.startswith("orchid-1-build-") for name in names)


def test_one_sided_routing_sends_each_turn_to_the_same_agent_once(model_server):
    model_server.fault("one-sided-routing")
    assert ask(model_server.url, SUPERVISOR, request="Set the mode to strict") == "monitor"
    asked = "Set the mode to strict\nConsulted so far: monitor"
    assert ask(model_server.url, SUPERVISOR, request=asked) == "FINISH"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"base_seconds": -1}, "greater than"),
        ({"model": "gpt-99"}, "gpt-4.1"),
        ({"speed": 1}, "not permitted"),
    ],
)
def test_a_wrong_latency_is_refused(model_server, change, named):
    answer = model_server.put("/control/latency", change)
    assert answer.status_code == 422
    assert named in answer.json()["problems"][0]["message"]


def test_a_probability_hits_about_its_share_and_the_same_requests_for_the_same_seed():
    def hits(seed: int) -> list[bool]:
        engine = Engine(Settings(seed=seed))
        engine.faults.start("rate-limit", {"probability": 0.3})
        requests = [
            ModelRequest("gpt-4o", (Message("user", f"question {number % 10}"),))
            for number in range(400)
        ]
        return ["rate-limit" in engine.open(request).faults.hits for request in requests]

    first = hits(1)
    assert first == hits(1)
    assert first != hits(2)
    assert 80 < sum(first) < 160


def test_the_control_routes_are_described_in_the_openapi_document():
    assert "/control/faults/{name}" in create_app().openapi()["paths"]
