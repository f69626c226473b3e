"""The Bedrock runtime of boto3: each call once, with its agent, its tokens and its cost."""

from __future__ import annotations

from typing import Any

import boto3
import midwatch
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from opentelemetry.trace import StatusCode

MODEL = "amazon.nova-lite-v1:0"
ASK: dict[str, Any] = {
    "modelId": MODEL,
    "messages": [{"role": "user", "content": [{"text": "hi"}]}],
}


@pytest.fixture
def client(server):
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=Config(retries={"total_max_attempts": 1}),
    )


def answer() -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
        "stopReason": "end_turn",
        "usage": {
            "inputTokens": 100,
            "outputTokens": 50,
            "totalTokens": 550,
            "cacheReadInputTokens": 400,
            "cacheWriteInputTokens": 0,
        },
        "metrics": {"latencyMs": 1},
    }


def test_the_client_is_instrumented_on_its_import(states):
    assert states["bedrock"] == "active"


def test_a_call_is_recorded_once_with_agent_tokens_and_cost(seen, server, client):
    server.will_answer(answer())
    with midwatch.agent("writer"):
        client.converse(**ASK)
    assert seen.count("agent.llm.requests", status="ok", agent="writer", model=MODEL) == 1
    assert seen.count("agent.llm.tokens", token_type="input") == 500
    assert seen.count("agent.llm.tokens", token_type="cache_read") == 400
    assert seen.count("agent.llm.tokens", token_type="output") == 50
    cost = seen.count("agent.llm.cost_usd", provider="aws.bedrock", agent="writer")
    assert cost == pytest.approx((100 * 0.06 + 400 * 0.015 + 50 * 0.24) / 1e6)
    span = seen.span(f"chat {MODEL}")
    assert span.attributes["midwatch.llm.price.table"] == "genai-prices"
    assert span.attributes["midwatch.llm.cost_usd"] == pytest.approx(cost)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "ThrottlingException", "rate_limit"),
        (503, "ServiceUnavailableException", "server_error"),
        (403, "AccessDeniedException", "authentication"),
        (400, "ValidationException", "bad_request"),
    ],
)
def test_a_refusal_is_counted_by_its_kind(seen, server, client, status, code, kind):
    server.will_answer({"__type": code, "message": "no"}, status)
    with pytest.raises(ClientError):
        client.converse(**ASK)
    assert seen.count("agent.llm.requests", status="error", error_type=kind) == 1
    assert seen.span(f"chat {MODEL}").status.status_code is StatusCode.ERROR


def test_another_service_of_boto3_is_no_model_call(seen, server, client):
    server.will_answer({"Tables": [], "TableNames": []})
    boto3.client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id="k",
        aws_secret_access_key="s",
    ).list_tables()
    assert seen.count("agent.llm.requests") == 0
