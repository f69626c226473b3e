"""How the supervisor chooses who acts next."""

from __future__ import annotations

from langchain_core.messages import HumanMessage, SystemMessage

from security_agent.assistant import prompts
from security_agent.assistant.confirmation import pending_of, verdict_of
from security_agent.assistant.llm import ask, get_llm
from security_agent.assistant.state import SPECIALISTS, Context, TurnState

FINISH = "FINISH"
_TOLD_TURNS = 3


def waiting_specialist(state: TurnState) -> str:
    """Who waits for the person's word on a change, when this message is that word."""
    context = state["context"]
    verdict = verdict_of(state["user_input"], context.get("confirm"))
    waits = pending_of(context) is not None and verdict is not None and not state.get("route")
    return "config_manager" if waits else ""


def earlier_turns(context: Context) -> str:
    """The last turns of the session, as the agents are told of them."""
    lines = [
        f"- asked: {turn['message']} / {turn['agent']} answered: {turn['answer']}".replace(
            "\n", " "
        )
        for turn in context.get("turns", [])[-_TOLD_TURNS:]
    ]
    return "Earlier in this session:\n" + "\n".join(lines) + "\n" if lines else ""


def chosen_by_model(state: TurnState) -> str:
    """Whom the model chooses; an answer that is no choice goes to the knowledge base once."""
    findings = "\n".join(f"- {text}" for text in state.get("findings", [])) or "- nothing"
    task = (
        f"{earlier_turns(state['context'])}"
        f"Request: {state['user_input']}\n"
        f"Consulted so far: {', '.join(state.get('route', [])) or 'nobody'}\n"
        f"Findings so far:\n{findings}\n"
        f"A specialist still asks for: {state.get('handoff') or 'nothing'}"
    )
    messages = [SystemMessage(prompts.SUPERVISOR), HumanMessage(task)]
    word = str(ask(get_llm(), messages, state["deadline"]).text).strip().strip(".").lower()
    if word in SPECIALISTS:
        return word
    return FINISH if word == "finish" or state.get("route") else "rag_agent"
