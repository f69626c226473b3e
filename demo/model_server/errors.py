"""Errors as OpenAI answers them, so that its client raises the right exception."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.responses import JSONResponse


class ApiError(Exception):
    """An error that is answered with OpenAI's JSON error object."""

    def __init__(
        self,
        status: int,
        message: str,
        kind: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {
            "error": {"message": message, "type": kind, "param": param, "code": code},
        }

    def response(self) -> JSONResponse:
        """The HTTP answer."""
        return JSONResponse(self.body, status_code=self.status, headers=self.headers)


def invalid_request(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """400: the request itself is wrong."""
    return ApiError(400, message, "invalid_request_error", code=code, param=param)


def missing_key() -> ApiError:
    """401: no key was sent."""
    return ApiError(
        401,
        "You didn't provide an API key. Provide it in an Authorization header using Bearer auth"
        " (Authorization: Bearer YOUR_KEY); any text will do here.",
        "invalid_request_error",
        code="invalid_api_key",
    )


def unknown_model(model: str, known: tuple[str, ...]) -> ApiError:
    """404: no such model."""
    return ApiError(
        404,
        f"The model `{model}` does not exist. This server has: {', '.join(known)}.",
        "invalid_request_error",
        code="model_not_found",
        param="model",
    )


def rate_limited(model: str, retry_after_seconds: float) -> ApiError:
    """429: with the time after which to try again."""
    wait = f"{retry_after_seconds:g}"
    return ApiError(
        429,
        f"Rate limit reached for {model} on requests per min (RPM): Limit 500, Used 500,"
        f" Requested 1. Please try again in {wait}s.",
        "requests",
        code="rate_limit_exceeded",
        headers={
            "retry-after": wait,
            "retry-after-ms": f"{retry_after_seconds * 1000:g}",
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{wait}s",
        },
    )


def server_error(status: int) -> ApiError:
    """5xx: the provider's own failure."""
    return ApiError(
        status,
        "The server had an error while processing your request. Sorry about that!",
        "server_error",
    )
