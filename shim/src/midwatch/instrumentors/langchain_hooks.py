"""Where the instrumentation takes hold of LangChain and LangGraph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import wrapt
from opentelemetry.trace import Tracer

from midwatch.instrumentors.langchain_nodes import NodeRules
from midwatch.instruments.model_calls import ModelCalls
from midwatch.instruments.recorder import Recorder
from midwatch.pipeline.failures import FAILURES

if TYPE_CHECKING:
    from midwatch.instrumentors.langchain_context import Wrapper
    from midwatch.instrumentors.langchain_graphs import GraphTracker
    from midwatch.instrumentors.langchain_handler import MidwatchCallbackHandler
    from midwatch.instrumentors.langchain_runs import Run, Runs
    from midwatch.instruments.prices import PriceTable

_CHAT_MODELS = "langchain_core.language_models.chat_models"


class Hooks:
    """Wraps what has to be wrapped, once, when it is imported; inactive wrappers only pass through.

    A place that a version of a library does not have is counted as a failure of the shim and left
    alone: the other places work without it.
    """

    def __init__(self) -> None:
        self._installed = False
        self._activate: Callable[[], None] | None = None
        self._handler: MidwatchCallbackHandler | None = None
        self._graphs: GraphTracker | None = None
        self._runs: Runs | None = None
        self._prices: PriceTable | None = None

    def activate(self, tracer: Tracer, recorder: Recorder, calls: ModelCalls) -> None:
        """Follow runs from now on, as soon as LangChain is imported."""

        def make_handler() -> None:
            # Not before LangChain is there: the handler is one of its classes.
            from midwatch.instrumentors.langchain_graphs import GraphTracker
            from midwatch.instrumentors.langchain_handler import MidwatchCallbackHandler
            from midwatch.instrumentors.langchain_keeper import RunKeeper
            from midwatch.instrumentors.langchain_work import WorkTracker

            keeper = RunKeeper(tracer, recorder)
            graphs = GraphTracker(keeper, NodeRules.from_environment())
            work = WorkTracker(keeper, calls)
            self._runs, self._graphs = keeper.runs, graphs
            self._handler = MidwatchCallbackHandler(graphs, work, keeper)

        self._handler = None
        self._activate = make_handler
        self._prices = calls.prices
        self._install()

    def deactivate(self) -> None:
        """Follow no runs any more."""
        self._activate = self._handler = self._graphs = self._runs = self._prices = None

    def _install(self) -> None:
        if self._installed:
            return
        self._installed = True
        for module, install in (
            ("langchain_core.callbacks.base", self._on_callbacks),
            ("langchain_core.runnables.config", self._on_config),
            (_CHAT_MODELS, self._on_chat_models),
            ("langgraph._internal._runnable", self._on_config),
            ("langgraph.graph._branch", self._on_branch),
            ("langgraph.pregel._loop", self._on_loop),
            ("langchain_openai.chat_models.base", self._on_chat_openai),
        ):
            wrapt.register_post_import_hook(functools.partial(_guard, install), module)

    def _on_callbacks(self, module: ModuleType) -> None:
        wrapt.wrap_function_wrapper(module, "BaseCallbackManager.__init__", self._add_handler)

    def _on_config(self, module: ModuleType) -> None:
        from midwatch.instrumentors import langchain_context as context

        wrapper = context.set_config_context(self._find_run)
        wrapt.wrap_function_wrapper(module, "_set_config_context", wrapper)

    def _on_chat_models(self, module: ModuleType) -> None:
        from midwatch.instrumentors import langchain_context as context

        wrappers: dict[str, Wrapper] = {
            "_generate_with_cache": context.generate(self._find_run),
            "_agenerate_with_cache": context.agenerate(self._find_run),
            "stream": context.stream,
            "astream": context.astream,
        }
        for name, wrapper in wrappers.items():
            wrapt.wrap_function_wrapper(module, f"BaseChatModel.{name}", wrapper)
        if self._prices is not None:
            self._prices.load()

    def _on_branch(self, module: ModuleType) -> None:
        wrapt.wrap_function_wrapper(module, "BranchSpec._finish", self._note_branch)

    def _on_loop(self, module: ModuleType) -> None:
        wrapt.wrap_function_wrapper(module, "PregelLoop.__init__", self._note_shape)

    def _on_chat_openai(self, module: ModuleType) -> None:
        from midwatch.instrumentors import langchain_stream_usage as usage

        usage.install(module, lambda: self._activate is not None)

    def _add_handler(
        self,
        wrapped: Callable[..., None],
        manager: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        wrapped(*args, **kwargs)
        if self._handler is None:
            if self._activate is None:
                return
            _guard(lambda _: self._activate and self._activate(), None)
        handler = self._handler
        if handler is None or self._find_run(manager.parent_run_id) is not None:
            # The manager of a child is given its parent's handlers, ours among them.
            return
        if handler not in manager.inheritable_handlers:
            manager.add_handler(handler, True)

    def _note_branch(
        self,
        wrapped: Callable[..., Any],
        branch: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        result = wrapped(*args, **kwargs)
        if self._graphs is not None:
            try:
                self._chose(branch, *args, **kwargs)
            except Exception as error:
                FAILURES.note("langgraph branch", error)
        return result

    def _note_shape(
        self,
        wrapped: Callable[..., None],
        _: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        wrapped(*args, **kwargs)
        run_id = getattr(kwargs.get("manager"), "run_id", None)
        if self._graphs is not None and run_id is not None:
            try:
                self._graphs.shaped(run_id, kwargs.get("nodes") or {})
            except Exception as error:
                FAILURES.note("langgraph shape", error)

    def _chose(self, branch: Any, writer: Any, given: Any, result: Any, config: Any) -> None:
        from midwatch.instrumentors.langchain_context import parent_run_id

        node_run_id = parent_run_id(config)
        if self._graphs is None or node_run_id is None:
            return
        chosen = result if isinstance(result, list | tuple) else [result]
        ends = branch.ends or {}
        # A label of the conditional edge stands for the node it is mapped to.
        self._graphs.branched(
            node_run_id,
            [item if hasattr(item, "node") else ends.get(item, item) for item in chosen],
            ends.values(),
        )

    def _find_run(self, run_id: UUID | None) -> Run | None:
        return self._runs.get(run_id) if self._runs is not None else None


def _guard(install: Callable[[Any], object], module: object) -> None:
    try:
        install(module)
    except Exception as error:
        FAILURES.note("langchain hooks", error)
