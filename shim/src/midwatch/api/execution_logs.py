"""`ExecutionLogger`, the interface of S4 (execution logs): what agents execute, step by step.

Each execution is a span and a run of its agent; the ledger makes of it the row of `execution_logs`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Self, TypedDict, Unpack, cast

from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.trace import get_current_span

from midwatch.api import arguments
from midwatch.api.logged import CANCELLED, FAILED, Logged, runs
from midwatch.api.spans import set_known, start_span
from midwatch.api.workflow_context import agent_begins, agent_ends
from midwatch.instruments.agent_context import with_agent
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.turn_state import current_turn
from midwatch.pipeline.clock import time_ns, token_hex
from midwatch.registry.span_attributes import (
    ACTION_TYPE,
    EXECUTION_ID,
    EXECUTION_STEP,
    EXTERNAL_PLATFORM,
    EXTERNAL_USER_ID,
    INPUT,
    OUTPUT,
    STEP_ID,
    WIDGET_ID,
)

_KEY = create_key("midwatch-execution")
_OPERATION = gen_ai.GenAiOperationNameValues.INVOKE_AGENT.value
_KEPT_TRACES = 256
_STATUSES = {FAILED: "error", CANCELLED: "cancelled"}


class ExecutionLog(Logged):
    """One execution, with the columns of S4's table as attributes.

    `output_data`, `metadata`, `status` and `error_message` may be set while it runs. Input and
    output leave the process by content policy only.
    """

    def __init__(
        self,
        agent_type: str,
        execution_step: str,
        action_type: str | None = None,
        input_data: object = None,
        report_id: object = None,
        completion_id: object = None,
        widget_id: object = None,
        step_id: object = None,
        external_platform: str | None = None,
        external_user_id: object = None,
        metadata: Mapping[str, Any] | None = None,
        execution_id: str | None = None,
    ) -> None:
        super().__init__()
        self._given = (
            *(agent_type, execution_step, action_type, input_data, report_id, completion_id),
            *(widget_id, step_id, external_platform, external_user_id, metadata, execution_id),
        )
        self.agent_type = arguments.name(agent_type, "unknown")
        self.execution_step = arguments.name(execution_step, "unknown")
        self.action_type = action_type
        self.input_data = input_data
        self.output_data: object = None
        self.report_id = report_id
        self.completion_id = completion_id
        self.widget_id = widget_id
        self.step_id = step_id
        self.external_platform = external_platform
        self.external_user_id = external_user_id
        self.metadata = metadata
        self.execution_id = arguments.name(execution_id)

    def again(self) -> Self:
        """A fresh execution of the same step."""
        return type(self)(*self._given)

    def _open(self) -> None:
        around = cast("ExecutionLog | None", get_value(_KEY))
        if not self.execution_id:
            self.execution_id = around.execution_id if around is not None else _ids.here()
        attributes = {
            gen_ai.GEN_AI_OPERATION_NAME: _OPERATION,
            gen_ai.GEN_AI_AGENT_NAME: self.agent_type,
            EXECUTION_STEP.name: self.execution_step,
            EXECUTION_ID.name: self.execution_id,
        }
        self.span = start_span(f"{_OPERATION} {self.agent_type}", attributes)
        set_known(
            self.span,
            {
                ACTION_TYPE.name: arguments.name(self.action_type),
                WIDGET_ID.name: arguments.name(self.widget_id),
                STEP_ID.name: arguments.name(self.step_id),
                EXTERNAL_PLATFORM.name: arguments.name(self.external_platform),
                EXTERNAL_USER_ID.name: arguments.name(self.external_user_id),
            },
        )
        self.holds(INPUT.name, self.input_data)
        turn = current_turn()
        if turn is not None:
            turn.entered(self.agent_type)
        agent_begins(self.agent_type)

    def _context(self) -> Context:
        return with_agent(self.agent_type, set_value(_KEY, self, super()._context()))

    def _called(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if self.input_data is None:
            super()._called(function, args, kwargs)

    def _returned(self, result: object) -> None:
        if self.output_data is None:
            self.output_data = result

    def _close(self, error: BaseException | None) -> None:
        self.holds(OUTPUT.name, self.output_data)
        status = _STATUSES.get(self.status, "ok")
        get_recorder().invocation(self.agent_type, status, self.seconds(), by="hand")
        agent_ends(self.agent_type)


class _MadeUpIds:
    """Ids of executions that were given none: the same for all that follow in one trace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_trace: OrderedDict[int, str] = OrderedDict()

    def here(self) -> str:
        """The id for an execution that begins here."""
        made_up = f"exec_{token_hex(6)}_{time_ns() // 1_000_000_000}"
        around = get_current_span().get_span_context()
        if not around.is_valid:
            return made_up
        with self._lock:
            found = self._by_trace.setdefault(around.trace_id, made_up)
            while len(self._by_trace) > _KEPT_TRACES:
                self._by_trace.popitem(last=False)
            return found


_ids = _MadeUpIds()


class ExecutionFields(TypedDict, total=False):
    """What may be said of an execution beside its agent and its step."""

    action_type: str | None
    input_data: Mapping[str, Any] | None
    report_id: object
    completion_id: object
    widget_id: object
    step_id: object
    external_platform: str | None
    external_user_id: object
    metadata: Mapping[str, Any] | None
    execution_id: str | None


class ExecutionLogger:
    """Logs executions. No method waits for anything or raises; each result may be awaited.

    Args:
        db: taken for the sake of the interface; the rows reach the ledger as spans.
    """

    def __init__(self, db: object = None) -> None:
        self.db = db

    def log_execution(
        self,
        agent_type: str,
        execution_step: str,
        action_type: str | None = None,
        input_data: Mapping[str, Any] | None = None,
        report_id: object = None,
        completion_id: object = None,
        widget_id: object = None,
        step_id: object = None,
        external_platform: str | None = None,
        external_user_id: object = None,
        metadata: Mapping[str, Any] | None = None,
        execution_id: str | None = None,
    ) -> ExecutionLog:
        """An execution as a block (`with` or `async with`) or as a decorator.

        What the block raises is recorded (a cancellation as such) and raised on.

        Args:
            agent_type: the agent: planner, designer, answer and so on.
            execution_step: the step: plan, execute, observe and so on.
            action_type: what it does: create_widget, answer_question and so on.
            input_data: what it is given.
            report_id: the report that it is for.
            completion_id: the completion that it is for.
            widget_id: the widget that it is for.
            step_id: the application's id of the step.
            external_platform: where the user came from.
            external_user_id: the user there.
            metadata: what else there is to say.
            execution_id: what groups related executions; by default that of the execution around
                this one, else a new one.
        """
        return ExecutionLog(
            agent_type,
            execution_step,
            action_type,
            input_data,
            report_id,
            completion_id,
            widget_id,
            step_id,
            external_platform,
            external_user_id,
            metadata,
            execution_id,
        )

    def start_execution(
        self, agent_type: str, execution_step: str, **fields: Unpack[ExecutionFields]
    ) -> ExecutionLog:
        """Start an execution by hand; what follows in this context belongs to it until its end.

        Takes what `log_execution` takes.
        """
        log = self.log_execution(agent_type, execution_step, **fields)
        log.start()
        return log

    def end_execution(
        self,
        execution_log: ExecutionLog,
        status: str = "completed",
        output_data: Mapping[str, Any] | None = None,
        error_message: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ExecutionLog:
        """End an execution that was started by hand; a second end changes nothing.

        Args:
            execution_log: what `start_execution` gave.
            status: completed, failed or cancelled.
            output_data: what it gave back.
            error_message: what went wrong.
            metadata: what is added to the metadata.
        """
        if runs(execution_log, ExecutionLog):
            if output_data is not None:
                execution_log.output_data = output_data
            execution_log.merge(metadata)
            execution_log.finish(status, error_message)
        return execution_log
