"""What no fault, latency or load can be set to is refused, never half accepted, by every server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fault_control import FaultBoard, FaultKind, FaultParameters, FaultRefusedError
from hypothesis import given
from hypothesis import strategies as st
from traffic.control import create_app as create_traffic_control
from traffic.driver import Driver
from traffic.faults import traffic_fault_board
from traffic.player import Targets
from traffic.settings import PROFILES, Profile

NOT_FINITE = ["NaN", "Infinity", "-Infinity", "1e999"]
NUMBERS = [
    ("model_server", "faults/slow", "probability"),
    ("model_server", "faults/slow", "extra_seconds"),
    ("model_server", "faults/expensive", "factor"),
    ("model_server", "faults/server-error", "status"),
    ("model_server", "faults/cut-stream", "after_chunks"),
    ("model_server", "latency", "base_seconds"),
    ("model_server", "latency", "jitter"),
    ("appliance", "faults/slow", "extra_seconds"),
    ("appliance", "faults/hang", "seconds"),
    ("traffic_control", "faults/guardrail-storm", "rate_factor"),
    ("traffic_control", "mix", "rate"),
    ("traffic_control", "mix", "max_concurrency"),
]


@pytest.fixture(scope="module")
def traffic_control(serve: Callable[..., Iterator]) -> Iterator:
    """The control of a load driver that lets nobody in."""
    board = traffic_fault_board()
    driver = Driver(1, PROFILES[Profile.QUIET], Targets("http://127.0.0.1:9", None), board)
    yield from serve(create_traffic_control(driver, board))


def settings_of(server) -> dict[str, object]:
    """All that can be set, without the figures that change by themselves."""
    state = server.get("/control/state").json()
    return {name: state[name] for name in ("faults", "latency", "mix") if name in state}


@pytest.mark.parametrize("number", NOT_FINITE)
@pytest.mark.parametrize(("server", "path", "field"), NUMBERS)
def test_a_number_that_is_not_finite_is_refused_by_its_name_and_changes_nothing(
    request, server, path, field, number
):
    running = request.getfixturevalue(server)
    before = settings_of(running)
    answer = running.client.put(f"/control/{path}", content=f'{{"{field}": {number}}}')
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert problem["field"] == field
    assert "finite number" in problem["message"]
    assert problem["given"] in {"nan", "inf", "-inf"}
    assert field in answer.json()["allowed"]
    assert settings_of(running) == before


@pytest.mark.parametrize("body", [b'{"probability": "\\ud800"}', b"[" * 50_000, b"\xff", b"[NaN]"])
@pytest.mark.parametrize("path", ["faults/slow", "latency"])
def test_a_body_that_is_no_readable_json_object_is_refused(model_server, path, body):
    answer = model_server.client.put(f"/control/{path}", content=body)
    assert answer.status_code == 422
    assert "no JSON" in answer.json()["error"]


def test_what_is_not_finite_in_a_request_to_the_appliance_is_refused(appliance):
    answer = appliance.client.put(
        "/api/mode", content=b'{"mode": NaN}', headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["given"] == "nan"


@pytest.mark.parametrize("body", [b'{"input": "\\ud800"}', b"[" * 50_000, b"\xff"])
@pytest.mark.parametrize("path", ["embeddings", "chat/completions"])
def test_what_is_no_json_is_refused_by_the_model_as_openai_does(model_server, path, body):
    headers = {"authorization": "Bearer k"}
    answer = model_server.client.post(f"/v1/{path}", content=body, headers=headers)
    assert answer.status_code == 400
    assert "could not parse the JSON" in answer.json()["error"]["message"]


@given(st.floats())
def test_a_fault_takes_only_probabilities_that_are_ones(probability):
    board = FaultBoard([FaultKind("slow", "slow", FaultParameters)])
    if 0 < probability <= 1:
        board.start("slow", {"probability": probability})
        assert board.state()["slow"] == {"probability": probability, "hits": 0}
    else:
        with pytest.raises(FaultRefusedError):
            board.start("slow", {"probability": probability})
        assert board.active("slow") is None
