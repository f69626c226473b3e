"""LangChain outside of graphs: chains, retrievers, tools, fallbacks, each in a tree of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import requests
from langchain_core.callbacks import (
    AsyncCallbackHandler,
    AsyncCallbackManager,
    BaseCallbackHandler,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableParallel, RunnablePassthrough
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.trace import StatusCode
from pydantic import BaseModel, SecretStr

KEY = SecretStr("k")
PROMPT = ChatPromptTemplate.from_messages([("human", "{question}")])
ASKED = {"question": "why?"}


class KnowledgeRetriever(BaseRetriever):
    """Finds as many documents as the question has words."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        if not query:
            raise LookupError("nothing to look for")
        return [Document(word) for word in query.split()]


class Answer(BaseModel):
    """An answer."""

    text: str


def chat(server: Any, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", base_url=server.url, api_key=KEY, max_retries=0, **more)


def tree(shim: Any) -> list[str]:
    return [line for line in shim.tree() if "POST" not in line]


CHAIN = ["invoke_workflow RunnableSequence", "  chat gpt-4o-mini"]


def test_a_chain_is_a_workflow_around_its_model_calls(shim: Any, server: Any) -> None:
    (PROMPT | chat(server) | StrOutputParser()).invoke(ASKED)
    assert tree(shim) == CHAIN
    assert shim.count("agent.turns") == 0
    assert shim.count("agent.llm.requests", status="ok") == 1


def test_a_chain_with_a_session_is_a_turn(shim: Any, server: Any) -> None:
    chain = (PROMPT | chat(server)).with_config(run_name="helpdesk")
    chain.invoke(ASKED, {"metadata": {"session_id": "s-1"}})
    assert tree(shim)[0] == "invoke_workflow helpdesk"
    (finished,) = shim.events_named("turn.finished")
    assert (finished.session_id, finished.metadata["llm_calls"]) == ("s-1", 1)


def test_a_chain_that_fails_is_an_error(shim: Any, server: Any) -> None:
    server.will_fail(500)
    with pytest.raises(Exception, match="no"):
        (PROMPT | chat(server)).invoke(ASKED)
    statuses = {span.name: span.status.status_code for span in shim.exporter.get_finished_spans()}
    assert statuses["invoke_workflow RunnableSequence"] is StatusCode.ERROR


@pytest.mark.parametrize("how", ["stream", "astream", "ainvoke"])
def test_a_chain_shows_the_same_however_it_is_called(shim: Any, server: Any, how: str) -> None:
    chain = PROMPT | chat(server)

    async def listen() -> None:
        if how == "ainvoke":
            await chain.ainvoke(ASKED)
        else:
            assert [chunk async for chunk in chain.astream(ASKED)]

    list(chain.stream(ASKED)) if how == "stream" else asyncio.run(listen())
    assert tree(shim) == CHAIN


class Awaited(AsyncCallbackHandler):
    """An application's own handler that awaits."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        self.heard.append("started")

    async def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append("ended")


class Called(BaseCallbackHandler):
    """One that does not, and is called in a thread of its own."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        self.heard.append("ended")


@pytest.mark.parametrize("as_manager", [False, True])
def test_handlers_of_the_application_hear_of_asynchronous_calls_beside_ours(
    shim: Any, server: Any, as_manager: bool
) -> None:
    awaited, called = Awaited(), Called()
    given: Any = [awaited, called]
    callbacks = AsyncCallbackManager(given, given) if as_manager else given
    asyncio.run((PROMPT | chat(server)).ainvoke(ASKED, {"callbacks": callbacks}))
    assert (awaited.heard, called.heard) == (["started", "ended"], ["ended"])
    assert tree(shim) == CHAIN
    assert shim.count("agent.llm.requests", status="ok") == 1


def test_an_abandoned_stream_of_a_chain_is_no_error(shim: Any, server: Any) -> None:
    stream: Any = (PROMPT | chat(server)).stream(ASKED)
    next(stream)
    stream.close()
    assert tree(shim) == CHAIN
    ended = {span.status.status_code for span in shim.exporter.get_finished_spans()}
    assert StatusCode.ERROR not in ended
    assert shim.count("agent.llm.requests", status="cancelled") == 1


def test_each_item_of_a_batch_is_a_trace_of_its_own(shim: Any, server: Any) -> None:
    (PROMPT | chat(server)).batch([ASKED, ASKED, ASKED])
    assert tree(shim) == CHAIN * 3
    assert shim.count("agent.llm.requests", status="ok") == 3


def test_parallel_parts_of_a_chain_keep_their_parent(shim: Any, server: Any) -> None:
    model = chat(server)
    RunnableParallel(one=PROMPT | model, two=PROMPT | model).invoke(ASKED)
    assert tree(shim) == ["invoke_workflow RunnableParallel<one,two>", *["  chat gpt-4o-mini"] * 2]


def test_a_fallback_is_a_second_call_beside_the_failed_one(shim: Any, server: Any) -> None:
    server.will_fail(500)
    model = chat(server)
    (PROMPT | model.with_fallbacks([chat(server, temperature=0.5)])).invoke(ASKED)
    assert tree(shim) == [CHAIN[0], CHAIN[1], CHAIN[1]]
    assert shim.count("agent.llm.requests", status="error") == 1
    assert shim.count("agent.llm.requests", status="ok") == 1
    assert shim.spans[CHAIN[0]].status.status_code is StatusCode.UNSET


def test_a_structured_answer_is_one_call(shim: Any, server: Any) -> None:
    server.will_say('{"text":"yes"}')
    model = chat(server).with_structured_output(Answer, method="json_schema")
    assert (PROMPT | model).invoke(ASKED) == Answer(text="yes")
    assert tree(shim) == CHAIN
    assert shim.count("agent.llm.requests", status="ok") == 1


def test_a_retrieval_has_a_span_by_the_conventions_with_its_documents_counted(shim: Any) -> None:
    KnowledgeRetriever().invoke("how long are logs kept")
    span = shim.spans["retrieval knowledge"]
    assert span.attributes["gen_ai.operation.name"] == "retrieval"
    assert span.attributes["gen_ai.data_source.id"] == "knowledge"
    assert span.attributes["midwatch.retrieval.documents"] == 5
    assert not any("logs" in str(value) for value in span.attributes.values())


def test_a_retrieval_that_fails_is_an_error(shim: Any) -> None:
    with pytest.raises(LookupError):
        asyncio.run(KnowledgeRetriever().ainvoke(""))
    assert shim.spans["retrieval knowledge"].status.status_code is StatusCode.ERROR


def test_retrieval_and_model_call_of_a_chain_are_one_trace(shim: Any, server: Any) -> None:
    found: Any = {"question": KnowledgeRetriever(), "x": RunnablePassthrough()}
    chain = found | PROMPT | chat(server)
    chain.invoke("how long")
    assert tree(shim) == [CHAIN[0], "  retrieval knowledge", CHAIN[1]]


def test_embeddings_in_a_chain_belong_to_its_trace(shim: Any, server: Any) -> None:
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=server.url,
        api_key=KEY,
        check_embedding_ctx_length=False,
    )
    chain: Any = RunnablePassthrough() | embeddings.embed_query
    chain.invoke("why?")
    assert tree(shim) == [CHAIN[0], "  embeddings text-embedding-3-small"]
    assert shim.count("agent.llm.requests", model="text-embedding-3-small", status="ok") == 1


def test_a_tool_called_alone_is_a_tool_call_of_an_unknown_agent(shim: Any) -> None:
    @tool
    def look_up(key: str) -> str:
        """Look something up."""
        return key

    look_up.invoke({"key": "a"})
    assert shim.label_sets("agent.tool.calls") == [
        {"agent": "unknown", "tool": "look_up", "status": "ok"}
    ]


def test_a_prompt_called_alone_is_no_workflow(shim: Any) -> None:
    PROMPT.invoke(ASKED)
    assert not shim.exporter.get_finished_spans()


class ByRequests(BaseChatModel):
    """Asks its server by `requests`, as models without a client of their own do."""

    url: str

    @property
    def _llm_type(self) -> str:
        return "by-requests"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        body = {"model": "gpt-4o-mini", "messages": []}
        said = requests.post(f"{self.url}/chat/completions", json=body, timeout=10).json()
        message = AIMessage(said["choices"][0]["message"]["content"])
        return ChatResult(generations=[ChatGeneration(message=message)])


class NamedByItsAnswer(ByRequests):
    """A model that says which one it is in what it answers only."""

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        message = AIMessage(
            "yes",
            response_metadata={"model_name": "gpt-4o-mini"},
            usage_metadata={"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def test_a_model_that_only_its_answer_names_is_counted_by_that_name(shim: Any) -> None:
    NamedByItsAnswer(url="").invoke("why?")
    assert shim.count("agent.llm.requests", model="gpt-4o-mini", status="ok") == 1
    assert shim.count("agent.llm.requests", model="unknown") == 0
    assert shim.spans["chat unknown"].attributes["gen_ai.response.model"] == "gpt-4o-mini"


def test_a_request_by_another_client_is_below_the_model_call_and_carries_the_trace(
    shim: Any, server: Any
) -> None:
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=shim.tracer_provider, skip_dep_check=True)
    try:
        (PROMPT | ByRequests(url=server.url)).invoke(ASKED)
    finally:
        instrumentor.uninstrument()
    assert shim.tree() == [CHAIN[0], "  chat unknown", "    POST"]
    (headers,) = server.headers
    assert headers["traceparent"].split("-")[1] == f"{shim.spans['POST'].context.trace_id:032x}"
