"""Asks for token usage on streams where `ChatOpenAI` forgets to.

`ChatOpenAI` leaves `stream_options` out as soon as it talks to another address than OpenAI's own:
every streamed answer then comes without its token counts. Where the application did not decide, the
usage is asked for; a server that refuses is asked without it, at once and from then on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

import wrapt

_REFUSALS = frozenset({400, 422})


class _Servers:
    """What is known of the servers, by their addresses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, bool] = {}

    def knows_usage(self, model: Any) -> bool | None:
        """Whether the server took the question before; None when it was never asked."""
        return self._answers.get(_address(model))

    def learn(self, model: Any, knows_usage: bool) -> None:
        with self._lock:
            self._answers.setdefault(_address(model), knows_usage)


def install(module: ModuleType, is_active: Callable[[], bool]) -> None:
    """Wrap the streams of the module that defines `ChatOpenAI`."""
    servers = _Servers()

    def asks(model: Any, kwargs: dict[str, Any]) -> bool:
        return (
            is_active()
            and isinstance(model, module.ChatOpenAI)
            and _is_undecided(model, kwargs)
            and servers.knows_usage(model) is not False
        )

    def stream(
        wrapped: Callable[..., Iterator[Any]],
        model: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Iterator[Any]:
        if not asks(model, kwargs):
            return wrapped(*args, **kwargs)
        return _stream(servers, wrapped, model, args, kwargs)

    def astream(
        wrapped: Callable[..., AsyncIterator[Any]],
        model: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> AsyncIterator[Any]:
        if not asks(model, kwargs):
            return wrapped(*args, **kwargs)
        return _astream(servers, wrapped, model, args, kwargs)

    wrapt.wrap_function_wrapper(module, "BaseChatOpenAI._stream", stream)
    wrapt.wrap_function_wrapper(module, "BaseChatOpenAI._astream", astream)


def _stream(
    servers: _Servers,
    wrapped: Callable[..., Iterator[Any]],
    model: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Iterator[Any]:
    begun = False
    try:
        for chunk in wrapped(*args, **{**kwargs, "stream_usage": True}):
            begun = True
            yield chunk
    except Exception as error:
        if not _may_be_refusal(servers, model, begun, error):
            raise
    else:
        servers.learn(model, True)
        return
    # Outside of the handler, so that an error of the second request has no false context.
    yield from wrapped(*args, **kwargs)
    servers.learn(model, False)


async def _astream(
    servers: _Servers,
    wrapped: Callable[..., AsyncIterator[Any]],
    model: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> AsyncIterator[Any]:
    begun = False
    try:
        async for chunk in wrapped(*args, **{**kwargs, "stream_usage": True}):
            begun = True
            yield chunk
    except Exception as error:
        if not _may_be_refusal(servers, model, begun, error):
            raise
    else:
        servers.learn(model, True)
        return
    async for chunk in wrapped(*args, **kwargs):
        yield chunk
    servers.learn(model, False)


def _is_undecided(model: Any, kwargs: dict[str, Any]) -> bool:
    """Whether neither the call nor the model says if usage is wanted."""
    return (
        kwargs.get("stream_usage") is None
        and "stream_options" not in kwargs
        and "stream_options" not in (model.model_kwargs or {})
        and "stream_options" not in (model.extra_body or {})
        and model.stream_usage is None
    )


def _may_be_refusal(servers: _Servers, model: Any, begun: bool, error: Exception) -> bool:
    """Whether the question may be why the request failed; a wrong guess costs one more refusal."""
    return (
        not begun
        and getattr(error, "status_code", None) in _REFUSALS
        and servers.knows_usage(model) is None
    )


def _address(model: Any) -> str:
    return str(model.openai_api_base or os.environ.get("OPENAI_BASE_URL") or "")
