"""AG2: a middleware of ours around every agent, outside of the application's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wrapt
from ag2.agent import Agent
from ag2.middleware.base import BaseMiddleware
from opentelemetry.trace import get_tracer

from midwatch.instrumentors.framework_models import ToldCall, begin_call, end_call
from midwatch.instrumentors.framework_work import FrameworkWork
from midwatch.instruments.model_calls import ModelCalls, process_model_calls, watch_spans
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.recording import SCOPE
from midwatch.instruments.tokens import TokenUsage

_Call = Callable[..., Any]

# AG2's names of providers where the conventions have another.
_PROVIDERS = {
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertexai": "gcp.vertex_ai",
    "xai": "x_ai",
}


class Ag2Instrumentation:
    """Instruments every agent that is made from now on."""

    def instrument(self) -> None:
        """Wrap the making of agents."""
        recorder, tracer = get_recorder(), get_tracer(SCOPE)
        calls = process_model_calls(recorder)
        watch_spans(calls)
        work = FrameworkWork(tracer, recorder, "ag2")

        def around_init(
            wrapped: _Call, agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:
            name = str(args[0] if args else kwargs.get("name", ""))
            given = tuple(kwargs.get("middleware", ()))
            return wrapped(*args, **{**kwargs, "middleware": (_Factory(name, work, calls), *given)})

        wrapt.wrap_function_wrapper(Agent, "__init__", around_init)
        calls.prices.load()


class _Factory:
    """Makes the middleware of one agent for each of its turns."""

    def __init__(self, agent: str, work: FrameworkWork, calls: ModelCalls) -> None:
        self._given = (agent, work, calls)

    def __call__(self, event: Any, context: Any) -> BaseMiddleware:
        return Ag2Middleware(event, context, *self._given)


class Ag2Middleware(BaseMiddleware):  # type: ignore[misc]
    """Turns what an agent does into spans, metrics and events; changes nothing of it."""

    def __init__(
        self, event: Any, context: Any, agent: str, work: FrameworkWork, calls: ModelCalls
    ) -> None:
        super().__init__(event, context)
        self._agent = agent
        self._work = work
        self._calls = calls

    async def on_turn(self, call_next: _Call, event: Any, context: Any) -> Any:
        """One run of the agent."""
        session = str(getattr(getattr(context, "stream", None), "id", "") or "")
        work = self._work.begin_agent(self._agent, session)
        error: BaseException | None = None
        try:
            with work.current():
                return await call_next(event, context)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._work.end_agent(work, error)

    async def on_llm_call(self, call_next: _Call, events: Any, context: Any) -> Any:
        """One call of the model."""
        told, error = begin_call(), None
        try:
            with told.current():
                response = await call_next(events, context)
            with self._work.safely():
                _read(response, told)
            return response
        except BaseException as raised:
            error = raised
            raise
        finally:
            with self._work.safely():
                end_call(told, get_tracer(SCOPE), self._calls, error)

    async def on_tool_execution(self, call_next: _Call, event: Any, context: Any) -> Any:
        """One call of a tool."""
        work = self._work.begin_tool(str(event.name), call_id=str(event.id), agent=self._agent)
        error: BaseException | None = None
        try:
            with work.current():
                result = await call_next(event, context)
            failure = getattr(result, "error", None)
            # AG2 makes an event of what a tool raises.
            error = failure if isinstance(failure, BaseException) else None
            self._hand_over(result)
            return result
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._work.end_tool(work, error)

    def _hand_over(self, result: Any) -> None:
        """A tool may return where the conversation goes on."""
        with self._work.safely():
            for part in getattr(getattr(result, "result", None), "parts", ()):
                intent: Any = getattr(part, "data", None)
                if type(intent).__name__ == "Handoff":
                    self._work.recorder.handoff(self._agent, str(intent.target))


def _read(response: Any, told: ToldCall) -> None:
    provider = str(response.provider or "")
    told.provider = _PROVIDERS.get(provider, provider)
    told.model = str(response.model or "")
    usage = response.usage
    told.usage = TokenUsage(
        int(usage.prompt_tokens or 0),
        int(usage.completion_tokens or 0),
        int(usage.cache_read_input_tokens or 0),
        int(usage.cache_creation_input_tokens or 0),
        int(usage.thinking_tokens or 0),
    )
