"""What the self-RAG loop works with in the running application."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage

from security_agent.assistant.knowledge import get_knowledge_base
from security_agent.assistant.llm import ask, get_llm, get_streaming_llm
from security_agent.assistant.selfrag import SelfRagSteps


def rag_steps(deadline: float) -> SelfRagSteps:
    """The knowledge base and the models, within the turn's time."""

    def asking(llm: BaseChatModel, messages: Sequence[BaseMessage]) -> str:
        return str(ask(llm, messages, deadline).text)

    return SelfRagSteps(
        search=get_knowledge_base().search,
        ask=lambda messages: asking(get_llm(), messages),
        write=lambda messages: asking(get_streaming_llm(), messages),
    )
