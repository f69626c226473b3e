"""The service's HTTP interface."""

from __future__ import annotations

import math
import time

from flask import Flask, Response, jsonify, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from security_agent.assistant import graph
from security_agent.assistant.chat_request import ChatRequest, Problem, problems_of
from security_agent.assistant.cli import TurnResult, run_turn
from security_agent.assistant.failures import TurnFailedError
from security_agent.assistant.feedback import FeedbackRequest, record, turn_meant
from security_agent.assistant.readiness import ReadinessCheck, dependency_check
from security_agent.assistant.service_metrics import ServiceMetrics
from security_agent.assistant.sessions import SessionBusyError, SessionStore
from security_agent.assistant.state import Context
from security_agent.config import AppConfig

_MAX_BODY_BYTES = 64 * 1024
_ALLOWED_FEEDBACK = (
    "a JSON object with session_id (text), thumbs (up or down) or solved (bool), and optionally"
    " turn_id (text)"
)
_ALLOWED = "a JSON object with message (text), and optionally session_id (text) and confirm (bool)"


def create_app(config: AppConfig | None = None, readiness: ReadinessCheck | None = None) -> Flask:
    """The service as a WSGI application.

    Raises:
        ConfigurationError: the configuration has problems.
    """
    config = config or AppConfig()
    config.check()
    app = Flask("security_agent")
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY_BYTES
    metrics = ServiceMetrics()
    readiness = readiness or dependency_check(config)
    _add_chat(app, config, metrics)
    _add_probes(app, metrics, readiness)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[Response, int]:
        status = error.code or 500
        return _error(status, error.name.lower().replace(" ", "_"), error.description or error.name)

    return app


def _add_chat(app: Flask, config: AppConfig, metrics: ServiceMetrics) -> None:
    sessions = SessionStore(config.limits.sessions)
    _add_feedback(app, sessions)

    @app.post("/chat")
    def chat() -> Response | tuple[Response, int]:
        metrics.chat_requests.inc()
        started = time.perf_counter()
        try:
            asked = ChatRequest.model_validate(request.get_json(silent=True))
            with sessions.turn(asked.session_id, config.limits.turn_seconds) as context:
                return _answered(asked, context)
        except ValidationError as error:
            problems = problems_of(error)
            return _error(422, "invalid_request", f"Send {_ALLOWED}.", problems=problems)
        except SessionBusyError:
            return _error(409, "session_busy", "Another message of this session is being answered.")
        except TurnFailedError as error:
            metrics.chat_failures.inc()
            return _turn_failed(error)
        finally:
            metrics.chat_seconds.observe(time.perf_counter() - started)

    @app.get("/sessions/<session_id>")
    def session(session_id: str) -> Response | tuple[Response, int]:
        turns = sessions.turns(session_id)
        if turns is None:
            return _error(404, "unknown_session", "No such session, or it was forgotten.")
        return jsonify({"session_id": session_id, "turns": turns})


def _add_feedback(app: Flask, sessions: SessionStore) -> None:
    @app.post("/feedback")
    def feedback() -> tuple[Response, int]:
        try:
            told = FeedbackRequest.model_validate(request.get_json(silent=True))
        except ValidationError as error:
            problems = problems_of(error)
            return _error(422, "invalid_request", f"Send {_ALLOWED_FEEDBACK}.", problems=problems)
        turn = turn_meant(told, sessions.turns(told.session_id) or [])
        if turn is None:
            return _error(404, "unknown_turn", "No such turn, or it was forgotten.")
        record(told, turn)
        return jsonify({"session_id": told.session_id, "turn_id": turn["turn_id"]}), 201


def _answered(asked: ChatRequest, context: Context) -> Response:
    result = run_turn(asked.message, context, confirm=asked.confirm)
    return jsonify({**_ids(context), **_body(result)})


def _body(result: TurnResult) -> dict[str, object]:
    return {
        "answer": result.answer,
        "outcome": result.outcome,
        "agent": result.agent,
        "route": result.route,
        "citations": result.citations,
        "needs_confirmation": result.pending_action is not None,
        "pending_action": result.pending_action,
    }


def _ids(context: Context) -> dict[str, object]:
    return {name: context.get(name) for name in ("session_id", "turn_id", "trace_id")}


def _add_probes(app: Flask, metrics: ServiceMetrics, readiness: ReadinessCheck) -> None:
    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify({"status": "ok"})

    @app.get("/readyz")
    def readyz() -> tuple[Response, int]:
        checked = readiness.check()
        metrics.service_ready.set(1 if checked.ready else 0)
        return jsonify(checked.as_json()), 200 if checked.ready else 503

    @app.get("/metrics")
    def prometheus() -> Response:
        payload = metrics.render_prometheus() + graph.TELEMETRY.render_prometheus()
        return Response(payload, content_type="text/plain; version=0.0.4; charset=utf-8")


def _turn_failed(error: TurnFailedError) -> tuple[Response, int]:
    response, status = _error(error.status, error.code, error.message, remedy=error.remedy)
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    return response, status


def _error(
    status: int,
    code: str,
    message: str,
    *,
    remedy: str = "",
    problems: list[Problem] | None = None,
) -> tuple[Response, int]:
    error: dict[str, object] = {"code": code, "message": message}
    if remedy:
        error["remedy"] = remedy
    if problems:
        error["problems"] = problems
    return jsonify({"error": error}), status
