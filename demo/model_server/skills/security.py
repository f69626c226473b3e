"""What the scripted model knows of security operations: the roles of the security agent."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from random import Random

from model_server.skills import security_answers as answers
from model_server.skills.interface import ModelRequest, Reply, Skill, ToolCall
from model_server.skills.security_intents import (
    ADDRESS,
    AGENTS,
    agents_for,
    beyond,
    mode_in,
    own,
)

_HANDOFF = "HANDOFF:"


@dataclass(frozen=True)
class _Role:
    """A skill that is recognised by the role which the system prompt gives."""

    role: str
    marker: str

    @property
    def name(self) -> str:
        return f"security.{self.role}"

    def matches(self, request: ModelRequest) -> bool:
        return self.marker in " ".join(request.system_text.split()).lower()


class Supervisor(_Role):
    """Answers with the name of the agent who acts next."""

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """The first needed agent who was not consulted, else FINISH."""
        text = request.last_user_text
        consulted = [name for name in _line(text, "Consulted so far").split(", ") if name in AGENTS]
        if "handoff-loop" in request.faults:
            return Reply(text="config_manager" if consulted[-1:] == ["monitor"] else "monitor")
        if "one-sided-routing" in request.faults:
            return Reply(text="FINISH" if consulted else "monitor")
        asked_for = _line(text, "A specialist still asks for")
        needed = agents_for(_line(text, "Request"), _last_agent(text))
        if asked_for and asked_for != "nothing":
            needed = [*agents_for(asked_for), *needed]
        return Reply(text=next((name for name in needed if name not in consulted), "FINISH"))


class Monitor(_Role):
    """Calls the reading tools, then tells what they said."""

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """Tool calls first; a summary when their results are there."""
        task = request.last_user_text
        if "handoff-loop" in request.faults:
            return Reply(text=f"{_HANDOFF} set the protection mode to balanced first")
        results = request.tool_results()
        wanted, found = _wanted(task), _line(task, "Already found")
        if not results:
            return Reply(tool_calls=_reading_calls(own(wanted, "monitor")))
        text = answers.summary(results, random)
        rest = "" if found else beyond(wanted, "monitor")
        return Reply(text=f"{text}\n{_HANDOFF} {rest}" if rest else text)


class ConfigManager(_Role):
    """Calls the one tool that the request needs, then tells what came of it."""

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """A tool call, a question back, or the result in words."""
        task = request.last_user_text
        if "handoff-loop" in request.faults:
            return Reply(text=f"{_HANDOFF} show the current status and alerts first")
        results = request.tool_results()
        wanted, found = _wanted(task), _line(task, "Already found")
        if results:
            text = answers.change_result(results)
            rest = "" if found else beyond(wanted, "config_manager")
            return Reply(text=f"{text}\n{_HANDOFF} {rest}" if rest else text)
        call = _changing_call(own(wanted, "config_manager"))
        if call is None:
            return Reply(
                text="Tell me what to change: the protection mode (monitor, balanced or strict), or"
                " the address to block or unblock."
            )
        return Reply(tool_calls=(call,))


class RagAnswer(_Role):
    """Answers from the passages, with citations."""

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """The sentences that fit the question best."""
        question, passages = answers.question_and_passages(request.last_user_text)
        return Reply(text=answers.cited_answer(question, passages))


class RagGrader(_Role):
    """Says which passages help."""

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """JSON with the numbers of the passages that share enough words with the question."""
        if "irrelevant-retrieval" in request.faults:
            return Reply(text=json.dumps({"relevant": []}))
        question, passages = answers.question_and_passages(request.last_user_text)
        numbers = [
            number
            for number, (_id, passage) in enumerate(passages, start=1)
            if answers.is_relevant(question, passage)
        ]
        return Reply(text=json.dumps({"relevant": numbers}))


class RagRewriter(_Role):
    """Finds other words for a query."""

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """The query's words with some that are near to them."""
        return Reply(text=answers.other_words(_line(request.last_user_text, "Question"), random))


class RagCondenser(_Role):
    """Makes a follow-up question stand by itself."""

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """The follow-up with the earlier question in it."""
        text = request.last_user_text
        asked = re.findall(r"^- asked: (.*?) / \w+ answered:", text, re.MULTILINE)
        follow_up = _line(text, "Follow-up").rstrip("?")
        return Reply(text=f"{follow_up}: {asked[-1]}" if asked else f"{follow_up}?")


class RagJudge(_Role):
    """Says whether an answer is supported."""

    def reply(self, request: ModelRequest, random: Random) -> Reply:
        """One word."""
        text = request.last_user_text
        answer, _mark, passages = text.partition("\n\nPassages:\n")
        grounded = "irrelevant-retrieval" not in request.faults and answers.is_supported(
            answer.removeprefix("Answer:"), passages
        )
        return Reply(text="grounded" if grounded else "ungrounded")


SKILLS: tuple[Skill, ...] = (
    Supervisor("supervisor", "you are the supervisor of a security operations"),
    Monitor("monitor", "you are the monitoring specialist of a security operations"),
    ConfigManager("config_manager", "you are the configuration specialist of a security"),
    RagAnswer("rag_answer", "you are the knowledge specialist of a security operations"),
    RagGrader("rag_grader", "you are a retrieval grader"),
    RagRewriter("rag_rewriter", "you are a query rewriter for a search in a security"),
    RagCondenser("rag_condenser", "you are a question condenser for a security"),
    RagJudge("rag_judge", "you are a grounding grader"),
)


def _line(text: str, label: str) -> str:
    """What follows a label at the start of a line; the last such line counts."""
    found = re.findall(rf"^{re.escape(label)}: ?(.*)$", text, re.MULTILINE)
    return str(found[-1]).strip() if found else ""


def _last_agent(text: str) -> str:
    """Who answered the turn before, as the prompt tells it."""
    found = [name for name in re.findall(r" / (\w+) answered:", text) if name in AGENTS]
    return found[-1] if found else ""


def _wanted(task: str) -> str:
    """What the specialist shall do: what is still needed, else the request itself."""
    needed = _line(task, "Still needed")
    return needed or task.split("\n\nAlready found:", 1)[0]


def _reading_calls(text: str) -> tuple[ToolCall, ...]:
    lowered = text.lower()
    calls: list[ToolCall] = []
    if "alert" in lowered:
        severity = next((s for s in ("high", "medium", "low") if s in lowered), "all")
        calls.append(ToolCall("tool_list_alerts", {"severity": severity}))
    if "report" in lowered or "week" in lowered:
        period = "week" if "week" in lowered else "day"
        calls.append(ToolCall("tool_get_report", {"period": period}))
    if "blocked" in lowered or "block list" in lowered:
        calls.append(ToolCall("tool_list_blocks"))
    if not calls or any(word in lowered for word in ("status", "mode", "health", "overview")):
        calls.append(ToolCall("tool_get_status"))
    return tuple(calls)


def _changing_call(text: str) -> ToolCall | None:
    address, mode, lowered = ADDRESS.search(text), mode_in(text), text.lower()
    if address is not None:
        if "unblock" in lowered:
            return ToolCall("tool_unblock_address", {"address": address.group()})
        reason = text[address.end() :].strip(" .,;") or "requested in the chat"
        return ToolCall("tool_block_address", {"address": address.group(), "reason": reason})
    if mode:
        return ToolCall("tool_set_protection_mode", {"mode": mode})
    return ToolCall("tool_get_protection_mode") if "mode" in lowered else None
