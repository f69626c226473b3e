"""Why a turn could not be answered, in the words that the person who asked needs."""

from __future__ import annotations

import openai

_Failure = tuple[int, str, str, str, float | None]
_LATER = "Try again in a moment."


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


# The first that fits counts; special kinds stand before the general ones.
_SIMPLE_FAILURES: tuple[tuple[tuple[type[Exception], ...], _Failure], ...] = (
    (
        (openai.APITimeoutError,),
        (503, "model_timeout", "The model provider did not answer in time.", _LATER, 5),
    ),
    (
        (openai.APIConnectionError,),
        (
            503,
            "model_unreachable",
            "The model provider can't be reached, or broke the connection.",
            _LATER,
            5,
        ),
    ),
    (
        (openai.AuthenticationError, openai.PermissionDeniedError),
        (
            502,
            "model_refused_key",
            "The model provider refused our key.",
            "The operator should check OPENAI_API_KEY.",
            None,
        ),
    ),
    (
        (openai.NotFoundError, openai.BadRequestError),
        (
            502,
            "model_refused_request",
            "The model provider refused the request.",
            "The operator should check SECURITY_AGENT_MODEL.",
            None,
        ),
    ),
)


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
    for kinds, failure in _SIMPLE_FAILURES:
        if isinstance(error, kinds):
            return TurnFailedError(*failure)
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


def _retry_after(error: openai.APIStatusError) -> float | None:
    try:
        return float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
