"""How a specialist works: asks the model, runs the tools it calls, and reads its last word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from security_agent.assistant.confirmation import PendingAction
from security_agent.assistant.prompts import HANDOFF_MARK

_MAX_ROUNDS = 4


@dataclass(frozen=True)
class ToolOutcome:
    """What came of one tool call; a pending action means that a person must confirm it first."""

    tool: str
    status: str
    text: str
    pending: PendingAction | None = None


@dataclass(frozen=True)
class Report:
    """What a specialist has to say.

    Attributes:
        text: For the person.
        handoff: What the specialist could not do and someone else should; empty when nothing.
        outcomes: The tool calls.
    """

    text: str
    handoff: str
    outcomes: tuple[ToolOutcome, ...]

    @property
    def pending(self) -> PendingAction | None:
        """The action that waits for confirmation."""
        return next((o.pending for o in self.outcomes if o.pending is not None), None)

    @property
    def failed(self) -> bool:
        """Whether a tool failed."""
        return any(outcome.status in {"error", "timeout"} for outcome in self.outcomes)


def work(
    prompt: str,
    task: str,
    ask: Callable[[Sequence[BaseMessage]], AIMessage],
    call_tool: Callable[[str, Mapping[str, object]], ToolOutcome],
) -> Report:
    """Let the model work on the task until it has a last word or something must be confirmed."""
    messages: list[BaseMessage] = [SystemMessage(prompt), HumanMessage(task)]
    outcomes: list[ToolOutcome] = []
    for _round in range(_MAX_ROUNDS):
        answer = ask(messages)
        if not answer.tool_calls:
            text, handoff = _last_word(str(answer.text))
            return Report(text, handoff, tuple(outcomes))
        messages.append(answer)
        for call in answer.tool_calls:
            outcome = call_tool(call["name"], call["args"])
            outcomes.append(outcome)
            if outcome.pending is not None:
                text = f"Please confirm: shall I {outcome.pending.summary}? (yes/no)"
                return Report(text, "", tuple(outcomes))
            messages.append(
                ToolMessage(
                    outcome.text,
                    tool_call_id=call["id"],
                    status="success" if outcome.status == "ok" else "error",
                )
            )
    return Report(
        "I needed more steps than I may take. Please ask for one thing at a time.",
        "",
        tuple(outcomes),
    )


def _last_word(text: str) -> tuple[str, str]:
    said, mark, wanted = text.partition(HANDOFF_MARK)
    return said.strip(), wanted.strip() or "someone else" if mark else ""
