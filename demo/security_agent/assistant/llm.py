"""The model clients, made once, and the one way to ask them within a turn's time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from security_agent.assistant.failures import turn_timed_out
from security_agent.config import AppConfig

_SHORTEST_CALL_SECONDS = 0.2
EMBEDDING_DIMENSIONS = 512


@lru_cache(maxsize=1)
def get_llm() -> BaseChatModel:
    """The chat model for routing, tools and grading."""
    return _chat_model(streaming=False)


@lru_cache(maxsize=1)
def get_streaming_llm() -> BaseChatModel:
    """The chat model for answers that a person reads."""
    return _chat_model(streaming=True)


@lru_cache(maxsize=1)
def get_embeddings() -> OpenAIEmbeddings:
    """The embedding model."""
    config = AppConfig().model
    return OpenAIEmbeddings(
        model=config.embedding_model,
        dimensions=EMBEDDING_DIMENSIONS,
        # Texts are short: without this the client loads a tokenizer from the net to measure them.
        check_embedding_ctx_length=False,
        timeout=config.timeout_seconds,
        max_retries=config.max_retries,
    )


def ask(
    llm: BaseChatModel,
    messages: Sequence[BaseMessage],
    deadline: float,
    tools: Sequence[BaseTool] = (),
) -> AIMessage:
    """The model's answer.

    Args:
        llm: The model.
        messages: The conversation.
        deadline: The `time.monotonic()` at which the turn ends.
        tools: What the model may call.

    Raises:
        TurnFailedError: the turn's time is over.
        openai.OpenAIError: the provider failed.
    """
    config = AppConfig()
    left = deadline - time.monotonic()
    if left < _SHORTEST_CALL_SECONDS:
        raise turn_timed_out(config.limits.turn_seconds)
    runnable = llm.bind_tools(tools) if tools else llm
    answer = runnable.invoke(list(messages), timeout=min(left, config.model.timeout_seconds))
    if not isinstance(answer, AIMessage):
        raise ValueError(f"the model answered with a {type(answer).__name__}")
    return answer


def _chat_model(streaming: bool) -> ChatOpenAI:
    config = AppConfig().model
    return ChatOpenAI(
        model=config.chat_model,
        temperature=0,
        timeout=config.timeout_seconds,
        max_retries=config.max_retries,
        streaming=streaming,
        # Behind a base URL of one's own the client asks for no usage in streams unless told to.
        stream_usage=True,
    )
