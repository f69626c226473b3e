"""The Slack server takes what Slack takes and refuses the rest in Slack's words."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from urllib.parse import urlencode

import anyio.from_thread
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stack.sinks.mailbox import Mailbox
from stack.sinks.slack import SlackSink
from stack.sinks.webhook import Refusal, check_payload, read_payload

PATH = "/services/T1/B1/secret"


class Slack:
    """Calls the application without a network."""

    def __init__(self) -> None:
        sink = SlackSink(Mailbox(), PATH, frozenset({"#on-call"}))
        self._transport = httpx.ASGITransport(sink.application())

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self._transport, base_url="http://slack"
            ) as client:
                return await client.request(method, path, **arguments)

        with anyio.from_thread.start_blocking_portal() as portal:
            return portal.call(ask)

    def post(self, payload: object, path: str = PATH) -> tuple[int, str]:
        answer = self.call("POST", path, json=payload)
        return answer.status_code, answer.text


@pytest.fixture
def slack() -> Slack:
    return Slack()


def test_a_message_is_kept_and_can_be_read_back(slack: Slack) -> None:
    payload = {"channel": "#on-call", "attachments": [{"title": "t", "text": "x"}]}
    assert slack.post(payload) == (200, "ok")
    (message,) = slack.call("GET", "/messages").json()["messages"]
    assert message["payload"] == payload
    assert message["id"] == 1
    assert slack.call("GET", "/messages?after=1").json() == {"messages": []}


def test_the_form_of_a_browser_is_taken_too(slack: Slack) -> None:
    body = urlencode({"payload": json.dumps({"text": "hello"})})
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert slack.call("POST", PATH, content=body, headers=headers).text == "ok"


@pytest.mark.parametrize(
    ("payload", "status", "word"),
    [
        ({}, 400, "no_text"),
        ({"text": "  "}, 400, "no_text"),
        ({"text": 5}, 400, "invalid_payload"),
        ([], 400, "invalid_payload"),
        ({"text": "x", "channel": "#nowhere"}, 404, "channel_not_found"),
        ({"attachments": [{"text": "x"}] * 101}, 400, "too_many_attachments"),
        ({"attachments": [{"color": "danger"}]}, 400, "missing_text_or_fallback_or_attachments"),
        ({"attachments": "x"}, 400, "invalid_attachments"),
        ({"blocks": [{"type": "divider"}] * 51}, 400, "invalid_blocks"),
        ({"blocks": [{"type": "marquee"}]}, 400, "invalid_blocks"),
        ({"blocks": {"type": "divider"}}, 400, "invalid_blocks_format"),
        (
            {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
            400,
            "invalid_blocks",
        ),
        (
            {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]},
            400,
            "invalid_blocks",
        ),
    ],
)
def test_what_slack_refuses_is_refused_in_its_words(
    slack: Slack, payload: object, status: int, word: str
) -> None:
    assert slack.post(payload) == (status, word)
    assert slack.call("GET", "/messages").json() == {"messages": []}


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/services/T2/B1/secret", 404, "no_team"),
        ("/services/T1/B2/secret", 404, "no_service"),
        ("/services/T1/B1/wrong", 403, "invalid_token"),
    ],
)
def test_an_unknown_webhook_is_refused(slack: Slack, path: str, status: int, word: str) -> None:
    assert slack.post({"text": "x"}, path) == (status, word)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"text": ', "application/json"),
        (b'{"text": "x"}', "text/plain"),
        (b"\xff", "application/json"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(slack: Slack, content: bytes, kind: str) -> None:
    answer = slack.call("POST", PATH, content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.text) == (400, "invalid_payload")


def test_rate_limiting_on_command_ends_after_the_given_number(slack: Slack) -> None:
    slack.call("PUT", "/control/faults/rate_limited", json={"times": 1, "retry_after": 7})
    limited = slack.call("POST", PATH, json={"text": "x"})
    assert (limited.status_code, limited.text) == (429, "rate_limited")
    assert limited.headers["retry-after"] == "7"
    assert slack.post({"text": "x"}) == (200, "ok")


def test_any_refusal_can_be_commanded(slack: Slack) -> None:
    fault = {"status": 410, "word": "channel_is_archived"}
    slack.call("PUT", "/control/faults/refused", json=fault)
    assert slack.post({"text": "x"}) == (410, "channel_is_archived")


def test_an_unknown_fault_is_refused_with_those_there_are(slack: Slack) -> None:
    answer = slack.call("PUT", "/control/faults/fire")
    assert answer.status_code == 404
    assert "rate_limited, refused" in answer.json()["error"]


@given(body=st.binary(max_size=200), kind=st.sampled_from(["application/json", "a/b", ""]))
def test_every_body_is_taken_or_refused_with_a_word(body: bytes, kind: str) -> None:
    with contextlib.suppress(Refusal):
        check_payload(read_payload(kind, body), None)
