"""The server's routes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fault_control import (
    FaultRefusedError,
    Problem,
    control_router,
    json_body,
    problems_of,
    refused_response,
)
from pydantic import ValidationError

from model_server.bodies import ChatBody, EmbeddingsBody, model_request, read_body
from model_server.completion import Json, prompt_tokens
from model_server.delivery import (
    body_response,
    deliver,
    deliver_stream,
    extra_seconds,
    hold,
    refuse,
)
from model_server.embeddings import as_base64, embed
from model_server.engine import Engine, Exchange
from model_server.errors import ApiError, invalid_request, missing_key, unknown_model
from model_server.faults import LISTING_FAULTS, Expensive
from model_server.latency import LatencyChange
from model_server.settings import CONTEXT_TOKENS, EMBEDDING_MODELS, Settings
from model_server.tokens import count_tokens

_CREATED = 1_750_000_000


def create_app(settings: Settings | None = None) -> FastAPI:
    """The model server as an ASGI application; its engine is at `app.state.engine`."""
    engine = Engine(settings or Settings())
    app = FastAPI(title="Scripted model server", docs_url=None, redoc_url=None)
    app.state.engine = engine
    app.include_router(control_router(engine.faults, engine.state))

    @app.exception_handler(ApiError)
    async def api_error(_request: Request, error: ApiError) -> JSONResponse:
        return error.response()

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.put("/control/latency")
    async def set_latency(request: Request) -> JSONResponse:
        return await _set_latency(engine, request)

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        _check_key(request)
        exchange = engine.open_plain("", "models", LISTING_FAULTS)
        await hold(exchange, request)
        refuse(exchange)
        listed = [
            {"id": name, "object": "model", "created": _CREATED, "owned_by": "openai"}
            for name in engine.settings.models
        ]
        return body_response(exchange, {"object": "list", "data": listed})

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await _named(engine, request, _chat)

    @app.post("/v1/embeddings")
    async def embeddings(request: Request) -> Response:
        return await _named(engine, request, _embeddings)

    return app


async def _named(
    engine: Engine, request: Request, work: Callable[[Engine, Request], Awaitable[Response]]
) -> Response:
    """Add the headers that OpenAI's answers carry, errors included."""
    started = time.perf_counter()
    try:
        _check_key(request)
        response = await work(engine, request)
    except ApiError as error:
        response = error.response()
    response.headers["x-request-id"] = f"req_{uuid4().hex}"
    response.headers["openai-processing-ms"] = str(round((time.perf_counter() - started) * 1000))
    return response


async def _chat(engine: Engine, request: Request) -> Response:
    body = await read_body(request, ChatBody)
    if body.model not in engine.settings.chat_models:
        raise unknown_model(body.model, engine.settings.chat_models)
    asked = model_request(body)
    length = len(prompt_tokens(asked))
    if length > CONTEXT_TOKENS:
        raise invalid_request(
            f"This model's maximum context length is {CONTEXT_TOKENS} tokens. However, your"
            f" messages resulted in {length} tokens.",
            param="messages",
            code="context_length_exceeded",
        )
    exchange = engine.open(asked)
    what = f"{body.model} {exchange.skill}"
    try:
        await hold(exchange, request)
        refuse(exchange)
    except ApiError as error:
        engine.count(what, str(error.status))
        raise
    completion = engine.answer(exchange, body.max_completion_tokens or body.max_tokens)
    engine.count(what, "200")
    if body.stream:
        options = body.stream_options
        return deliver_stream(
            engine, exchange, completion, options is not None and options.include_usage
        )
    return await deliver(engine, exchange, completion)


async def _embeddings(engine: Engine, request: Request) -> Response:
    body = await read_body(request, EmbeddingsBody)
    if body.model not in EMBEDDING_MODELS:
        raise unknown_model(body.model, tuple(EMBEDDING_MODELS))
    texts = body.texts()
    if not texts or not all(texts):
        raise invalid_request("'$.input' is invalid: no input may be empty.", param="input")
    exchange = engine.open_plain(body.model, "\0".join(texts))
    try:
        await hold(exchange, request)
        refuse(exchange)
    except ApiError as error:
        engine.count(body.model, str(error.status))
        raise
    engine.count(body.model, "200")
    await asyncio.sleep(
        extra_seconds(exchange)
        + engine.latencies.of(body.model).first_token_seconds(exchange.random)
    )
    return body_response(exchange, _embeddings_json(body, texts, exchange))


def _embeddings_json(body: EmbeddingsBody, texts: list[str], exchange: Exchange) -> Json:
    dimensions = body.dimensions or EMBEDDING_MODELS[body.model]
    expensive = exchange.faults.get(Expensive)
    tokens = round(sum(map(count_tokens, texts)) * (expensive.factor if expensive else 1))
    vectors = [embed(text, dimensions) for text in texts]
    return {
        "object": "list",
        "model": body.model,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": as_base64(vector) if body.encoding_format == "base64" else vector,
            }
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


async def _set_latency(engine: Engine, request: Request) -> JSONResponse:
    allowed = LatencyChange.model_json_schema()["properties"]
    try:
        body = await json_body(request, "the latency")
        change = LatencyChange.model_validate(body)
        if change.model is not None and change.model not in engine.settings.models:
            problem = Problem(
                field="model",
                given=change.model,
                message=f"unknown model; use one of {', '.join(engine.settings.models)}",
            )
            raise FaultRefusedError("the latency can't be set so", [problem], allowed, 422)
    except ValidationError as error:
        return refused_response(
            FaultRefusedError("the latency can't be set so", problems_of(error), allowed, 422)
        )
    except FaultRefusedError as error:
        return refused_response(error)
    engine.latencies.set(change)
    return JSONResponse(engine.latencies.state())


def _check_key(request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise missing_key()
