"""Flask: the official instrumentation, and around it chat requests, turns and `/metrics`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
import wrapt
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from werkzeug.exceptions import HTTPException

from midwatch.config import load_settings
from midwatch.instrumentors.chat import (
    METRICS_PATH,
    SESSION_HEADER,
    Traffic,
    outcome_of_status,
    session_of_body,
    wants_body,
)
from midwatch.instruments.exposition import watch_rendering
from midwatch.instruments.turns import turn
from midwatch.pipeline.failures import FAILURES


class FlaskInstrumentation:
    """Instruments every Flask application made from now on, and those that exist."""

    def instrument(self) -> None:
        """Wrap the class; the official instrumentation replaces it for applications to come."""
        traffic = Traffic.from_settings(load_settings())
        wrapt.wrap_function_wrapper(flask.Flask, "full_dispatch_request", _around_request(traffic))
        wrapt.wrap_function_wrapper(flask.Flask, "dispatch_request", _around_view(traffic))
        FlaskInstrumentor().instrument()


_Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


def _around_request(traffic: Traffic) -> _Wrapper:
    """Around everything between routing and the finished response."""

    def wrapper(
        wrapped: Callable[..., Any], app: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        path = flask.request.path
        if not traffic.concerns(path):
            return wrapped(*args, **kwargs)
        with watch_rendering() as watch:
            try:
                response = wrapped(*args, **kwargs)
            except Exception:
                traffic.answered(path, None)
                raise
        traffic.answered(path, response.status_code)
        if path == METRICS_PATH and not watch.rendered:
            _merge(traffic, response)
        return response

    return wrapper


def _around_view(traffic: Traffic) -> _Wrapper:
    """Around the view: here the server's span is the current one."""

    def wrapper(
        wrapped: Callable[..., Any], app: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if not traffic.is_chat(flask.request.path):
            return wrapped(*args, **kwargs)
        with turn(session_id=_session()) as running:
            try:
                response = app.make_response(wrapped(*args, **kwargs))
            except HTTPException as error:
                running.outcome = running.outcome or outcome_of_status(error.code) or "ok"
                raise
            running.outcome = running.outcome or outcome_of_status(response.status_code)
            return response

    return wrapper


def _session() -> str:
    try:
        request = flask.request
        given = request.headers.get(SESSION_HEADER, "")
        if given or not wants_body(request.content_type or "", str(request.content_length or "")):
            return given
        # Cached, so that the application reads the very same bytes.
        return session_of_body(request.get_data(cache=True))
    except Exception as error:
        FAILURES.note("http.session", error)
        return ""


def _merge(traffic: Traffic, response: flask.Response) -> None:
    try:
        is_text = (response.mimetype or "").startswith("text/plain")
        if response.status_code == 200 and is_text and not response.is_streamed:
            response.set_data(traffic.merged(response.get_data(as_text=True)))
    except Exception as error:
        FAILURES.note("http.metrics", error)
