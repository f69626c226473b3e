"""OTLP/HTTP: `POST /v1/traces` and `POST /v1/logs`."""

from __future__ import annotations

import asyncio
from collections import Counter

from fastapi import APIRouter, Request, Response
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from midwatch_ledger.api.access import only_project
from midwatch_ledger.api.bodies import read_body
from midwatch_ledger.api.problems import ProblemError, documented, unavailable
from midwatch_ledger.services.otlp import MalformedBodyError
from midwatch_ledger.services.writer import Outcome, Signal, WriterClosedError

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_ERRORS = documented(400, 401, 413, 415, 429, 503)
_BODY = {"requestBody": {"required": True, "content": {PROTOBUF: {}, JSON: {}}}}

router = APIRouter(tags=["ingest"])


@router.post("/v1/traces", responses=_ERRORS, openapi_extra=_BODY)
async def export_traces(request: Request) -> Response:
    """Take an ExportTraceServiceRequest; 200 means that its good spans are committed."""
    is_json, outcome = await _take(request, "traces")
    answer = ExportTraceServiceResponse()
    if outcome.rejected:
        answer.partial_success.rejected_spans = outcome.rejected.total()
        answer.partial_success.error_message = _told(outcome.rejected)
    return _answer(answer, is_json)


@router.post("/v1/logs", responses=_ERRORS, openapi_extra=_BODY)
async def export_logs(request: Request) -> Response:
    """Take an ExportLogsServiceRequest; 200 means that its good events are committed.

    Log records without an event name are accepted and not kept.
    """
    is_json, outcome = await _take(request, "logs")
    answer = ExportLogsServiceResponse()
    if outcome.rejected:
        answer.partial_success.rejected_log_records = outcome.rejected.total()
        answer.partial_success.error_message = _told(outcome.rejected)
    return _answer(answer, is_json)


async def _take(request: Request, signal: Signal) -> tuple[bool, Outcome]:
    is_json = _is_json(request)
    state = request.app.state
    async with read_body(request, state.pending_bytes, state.settings.max_body_bytes) as body:
        try:
            future = state.writer.submit(
                signal, body, is_json=is_json, project=only_project(request)
            )
            return is_json, await asyncio.wrap_future(future)
        except MalformedBodyError as error:
            state.metrics.rejected.labels(signal, "malformed_body").inc()
            raise ProblemError(400, str(error)) from error
        except WriterClosedError as error:
            raise unavailable(str(error)) from error


def _is_json(request: Request) -> bool:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in (PROTOBUF, JSON):
        raise ProblemError(
            415,
            f"content type {content_type!r} is not supported; send {PROTOBUF} or {JSON}",
            {"Accept": f"{PROTOBUF}, {JSON}"},
        )
    return content_type == JSON


def _answer(
    message: ExportTraceServiceResponse | ExportLogsServiceResponse, is_json: bool
) -> Response:
    if is_json:
        return Response(json_format.MessageToJson(message, indent=None), media_type=JSON)
    return Response(message.SerializeToString(), media_type=PROTOBUF)


def _told(rejected: Counter[str]) -> str:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(rejected.items()))
    return f"records refused by reason: {reasons}"
