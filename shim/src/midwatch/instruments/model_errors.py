"""Why a model call failed, as one of the registry's few words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

CANCELLED = "cancelled"

# The first pattern that a class name matches decides; client libraries agree on these names, while
# they share no base class.
_BY_NAME: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"rate_?limit|toomanyrequests|throttl|quota|resourceexhausted", "rate_limit"),
        (r"timeout|deadlineexceeded", "timeout"),
        (r"contentfilter|refusal|lengthfinish", "content_filter"),
        (r"authentication|permissiondenied|unauthori|forbidden", "authentication"),
        (r"incompleteread|remoteprotocol|chunkedencoding", "stream_cut"),
        (r"connection|connecterror|readerror|networkerror|socket", "connection"),
        (r"responsevalidation|jsondecode|validationerror|decodingerror", "malformed_response"),
        (r"internalserver|serviceunavailable|overloaded|servererror|badgateway", "server_error"),
        (r"badrequest|notfound|unprocessable|invalidrequest|contextoverflow", "bad_request"),
    )
)
_CANCELLATIONS = frozenset(
    {
        "AbandonedStreamError",  # of the official GenAI packages: nobody holds the stream any more
        "CancelledError",
        "GeneratorExit",
        "KeyboardInterrupt",
        "SystemExit",
    }
)
_UNREADABLE = (TypeError, KeyError, AttributeError, IndexError)


def error_kind(error: BaseException, *, streaming: bool = False) -> str:
    """Say why a call failed; `streaming` tells that part of a streamed answer had arrived.

    The causes of an exception count as the exception itself, since clients wrap each other's.
    """
    for cause in _chain(error):
        kind = _kind_of_one(cause)
        if kind:
            return "stream_cut" if streaming and kind == "connection" else kind
    if isinstance(error, _UNREADABLE):
        # The client stumbled over an answer that has not the shape of one.
        return "malformed_response"
    return "stream_cut" if streaming else "other"


def is_cancellation(error: BaseException) -> bool:
    """Whether the caller gave the work up, which is no failure of it."""
    return any(base.__name__ in _CANCELLATIONS for base in type(error).__mro__)


def error_kind_of_name(name: str, *, streaming: bool = False) -> str:
    """The same for an exception of which only the name of its type is known."""
    short = name.rpartition(".")[2]
    kind = _kind_of_name(short) or _kind_of_status(short)
    if not kind:
        return "stream_cut" if streaming else "other"
    return "stream_cut" if streaming and kind == "connection" else kind


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__


def _kind_of_one(error: BaseException) -> str:
    if getattr(error, "code", None) == "content_filter":
        return "content_filter"
    for base in type(error).__mro__:
        kind = _kind_of_name(base.__name__)
        if kind:
            return kind
    return _kind_of_answer(error)


def _kind_of_answer(error: BaseException) -> str:
    """What the server's answer says, where clients put it: OpenAI's, Google's, botocore's."""
    for attribute in ("status_code", "code"):
        kind = _kind_of_status(str(getattr(error, attribute, "")))
        if kind:
            return kind
    answer = getattr(error, "response", None)
    if not isinstance(answer, Mapping):
        return ""
    told, about = answer.get("Error"), answer.get("ResponseMetadata")
    named = _kind_of_name(str(told.get("Code", ""))) if isinstance(told, Mapping) else ""
    status = str(about.get("HTTPStatusCode", "")) if isinstance(about, Mapping) else ""
    return named or _kind_of_status(status)


def _kind_of_name(name: str) -> str:
    return next((kind for pattern, kind in _BY_NAME if pattern.search(name)), "")


def _kind_of_status(status: str) -> str:
    if not (len(status) == 3 and status.isdigit()):
        return ""
    if status == "429":
        return "rate_limit"
    if status in ("401", "403"):
        return "authentication"
    if status in ("408", "504"):
        return "timeout"
    return {"4": "bad_request", "5": "server_error"}.get(status[0], "")
