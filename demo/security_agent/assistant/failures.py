"""Why a turn could not be answered, in the words that the person who asked needs."""

from __future__ import annotations

import openai


class TurnFailedError(Exception):
    """A turn that can't be answered.

    Attributes:
        status: The HTTP status: 502 when the model provider answered wrongly, 503 when it can't be
            had right now.
        code: A short, stable code.
        remedy: What to do about it.
        retry_after_seconds: When trying again makes sense, if that is known.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        remedy: str,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.remedy = remedy
        self.retry_after_seconds = retry_after_seconds


def turn_timed_out(seconds: float) -> TurnFailedError:
    """The turn took longer than it may."""
    return TurnFailedError(
        503,
        "turn_timeout",
        f"The turn took longer than {seconds:g} seconds and was ended.",
        "Try again; if it happens often, the model or the appliance is slow.",
        5,
    )


def failure_of(error: Exception) -> TurnFailedError:
    """The failure behind any exception that ended a turn."""
    if isinstance(error, TurnFailedError):
        return error
    if isinstance(error, openai.RateLimitError):
        return TurnFailedError(
            503,
            "model_rate_limited",
            "The model provider limits our requests.",
            "Wait and try again.",
            _retry_after(error),
        )
    if isinstance(error, openai.APITimeoutError):
        return _unavailable("model_timeout", "The model provider did not answer in time.")
    if isinstance(error, openai.APIConnectionError):
        message = "The model provider can't be reached, or broke the connection."
        return _unavailable("model_unreachable", message)
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return _wrong("model_refused_key", "The model provider refused our key.", "OPENAI_API_KEY")
    if isinstance(error, openai.NotFoundError | openai.BadRequestError):
        return _wrong(
            "model_refused_request",
            "The model provider refused the request.",
            "SECURITY_AGENT_MODEL",
        )
    if isinstance(error, openai.APIStatusError):
        return TurnFailedError(
            502,
            "model_error",
            f"The model provider failed with status {error.status_code}.",
            "Try again in a moment; if it lasts, see the provider's status page.",
            5,
        )
    if isinstance(error, ValueError | openai.OpenAIError):
        return TurnFailedError(
            502,
            "model_bad_answer",
            "The model provider's answer could not be understood.",
            "Try again; if it lasts, check that OPENAI_BASE_URL names a compatible provider.",
        )
    return TurnFailedError(
        500, "internal_error", "The assistant failed.", "The operator finds the reason in the log."
    )


def _unavailable(code: str, message: str) -> TurnFailedError:
    return TurnFailedError(503, code, message, "Try again in a moment.", 5)


def _wrong(code: str, message: str, variable: str) -> TurnFailedError:
    return TurnFailedError(502, code, message, f"The operator should check {variable}.")


def _retry_after(error: openai.APIStatusError) -> float | None:
    try:
        return float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
