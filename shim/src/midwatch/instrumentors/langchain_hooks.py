"""Where the instrumentation takes hold of LangChain and LangGraph."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import wrapt
from opentelemetry.trace import Tracer

from midwatch.config import load_settings
from midwatch.instrumentors import langchain_resumes as resumes
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
        self._keeps_origin = False

    def activate(self, tracer: Tracer, recorder: Recorder, calls: ModelCalls) -> None:
        """Follow runs from now on, as soon as LangChain is imported."""

        def make_handler() -> None:
            # Not before LangChain is there: the handler is one of its classes.
            from midwatch.instrumentors.langchain_graphs import GraphTracker
            from midwatch.instrumentors.langchain_handler import MidwatchCallbackHandler
            from midwatch.instrumentors.langchain_keeper import RunKeeper
            from midwatch.instrumentors.langchain_node_facts import NodeFacts
            from midwatch.instrumentors.langchain_retrievals import RetrievalTracker
            from midwatch.instrumentors.langchain_work import WorkTracker

            settings = load_settings().graphs
            keeper, rules = RunKeeper(tracer, recorder), NodeRules(settings)
            graphs = GraphTracker(keeper, rules, NodeFacts(keeper, rules, settings))
            work = WorkTracker(keeper, calls)
            retrievals = RetrievalTracker(keeper, grades=bool(settings.graders.patterns))
            self._runs, self._graphs = keeper.runs, graphs
            self._keeps_origin = settings.resume_links
            self._handler = MidwatchCallbackHandler(graphs, work, retrievals, keeper)

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
            ("langchain_core.callbacks.manager", self._on_managers),
            ("langchain_core.runnables.config", self._on_config),
            (_CHAT_MODELS, self._on_chat_models),
            ("langgraph._internal._runnable", self._on_config),
            ("langgraph.graph._branch", self._on_branch),
            ("langgraph.pregel._loop", self._on_loop),
            ("langchain_openai.chat_models.base", self._on_chat_openai),
        ):
            wrapt.register_post_import_hook(functools.partial(_guard, install), module)

    def _on_callbacks(self, module: ModuleType) -> None:
        # Not by wrapt, and without a dictionary of what is given: there are thirty managers in a
        # run of a small graph.
        base: Any = module
        usual = base.BaseCallbackManager.__init__

        def begin(
            self: Any,
            handlers: Any,
            inheritable_handlers: Any = None,
            parent_run_id: UUID | None = None,
            *,
            tags: Any = None,
            inheritable_tags: Any = None,
            metadata: Any = None,
            inheritable_metadata: Any = None,
        ) -> None:
            usual(
                self,
                handlers,
                inheritable_handlers,
                parent_run_id,
                tags=tags,
                inheritable_tags=inheritable_tags,
                metadata=metadata,
                inheritable_metadata=inheritable_metadata,
            )
            if not inheritable_handlers or hooks._handler not in inheritable_handlers:
                hooks._join(self, parent_run_id)

        def begin_otherwise(self: Any, *given: Any, **more: Any) -> None:
            usual(self, *given, **more)
            if hooks._handler not in self.inheritable_handlers:
                hooks._join(self, self.parent_run_id)

        hooks = self
        known = (
            inspect.signature(begin).parameters.keys() == inspect.signature(usual).parameters.keys()
        )
        base.BaseCallbackManager.__init__ = functools.wraps(usual)(
            begin if known else begin_otherwise
        )

    def _join(self, manager: Any, parent_run_id: UUID | None) -> None:
        # Most managers are copies of one that has the handler, or of children, which are given
        # their parents' handlers later, ours among them.
        runs = self._runs
        if runs is None or parent_run_id is None or parent_run_id.int not in runs.open:
            self._add_handler(manager)

    def _on_managers(self, module: ModuleType) -> None:
        from midwatch.instrumentors import langchain_context as context

        managers: Any = module
        for name, shorten in (
            ("handle_event", context.handle_event),
            ("ahandle_event", context.ahandle_event),
        ):
            setattr(managers, name, shorten(getattr(managers, name), lambda: self._handler))

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
        wrapt.wrap_function_wrapper(module, "PregelLoop.__init__", self._note_loop)
        wrapt.wrap_function_wrapper(module, "PregelLoop._first", self._note_resume)

    def _on_chat_openai(self, module: ModuleType) -> None:
        from midwatch.instrumentors import langchain_stream_usage as usage

        usage.install(module, lambda: self._activate is not None)

    def _add_handler(self, manager: Any) -> None:
        if self._handler is None and self._activate is not None:
            _guard(lambda _: self._activate and self._activate(), None)
        if self._handler is not None:
            manager.add_handler(self._handler, True)

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

    def _note_loop(
        self,
        wrapped: Callable[..., None],
        loop: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        wrapped(*args, **kwargs)
        run = self._find_run(getattr(loop.manager, "run_id", None))
        if self._graphs is None or run is None:
            return
        try:
            self._graphs.shaped(run.run_id, loop.nodes, loop.specs)
            if self._keeps_origin:
                resumes.keep(loop, run.context)
        except Exception as error:
            FAILURES.note("langgraph shape", error)

    def _note_resume(
        self,
        wrapped: Callable[..., Any],
        loop: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        # Before it: by then the loop has the thread's last checkpoint, and has written none yet.
        run = self._find_run(getattr(loop.manager, "run_id", None))
        if self._graphs is not None and run is not None:
            try:
                origin = resumes.origin_of(loop)
                if origin is not None:
                    self._graphs.workflows.resumed(run.run_id, origin)
            except Exception as error:
                FAILURES.note("langgraph resume", error)
        return wrapped(*args, **kwargs)

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
            str(getattr(branch.path, "name", None) or ""),
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
