"""What callers send to `/v1`: validated, and turned into what skills see."""

from __future__ import annotations

import json
from typing import Annotated, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from model_server.errors import ApiError, invalid_request
from model_server.skills import Message, ModelRequest, Tool, ToolCall

_Body = TypeVar("_Body", bound=BaseModel)


class _Lenient(BaseModel):
    """OpenAI's API has many more fields than matter here: the others are accepted and ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class TextPart(_Lenient):
    """One part of a message's content."""

    type: str
    text: str = ""


class CalledFunction(_Lenient):
    """The function of a tool call in a message."""

    name: str
    arguments: str = "{}"


class CalledTool(_Lenient):
    """A tool call in a message."""

    id: str
    function: CalledFunction


class ChatMessage(_Lenient):
    """One message."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    tool_calls: list[CalledTool] | None = None
    tool_call_id: str | None = None


class OfferedFunction(_Lenient):
    """A function that the model may call."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, object] = Field(default_factory=dict)


class OfferedTool(_Lenient):
    """A tool that the model may call."""

    type: Literal["function"] = "function"
    function: OfferedFunction


class NamedFunction(_Lenient):
    """A function by its name."""

    name: str


class NamedTool(_Lenient):
    """The one tool that must be called."""

    function: NamedFunction


class JsonSchema(_Lenient):
    """The schema of a structured answer."""

    name: str
    json_schema: dict[str, object] = Field(default_factory=dict, alias="schema")


class ResponseFormat(_Lenient):
    """How the answer must look."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(_Lenient):
    """Options of a stream."""

    include_usage: bool = False


class ChatBody(_Lenient):
    """The body of `POST /v1/chat/completions`."""

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    tools: list[OfferedTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    response_format: ResponseFormat | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = 1
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None


class EmbeddingsBody(_Lenient):
    """The body of `POST /v1/embeddings`."""

    model: str
    input: str | list[str] | list[int] | list[list[int]]
    dimensions: Annotated[int, Field(ge=1, le=3072)] | None = None
    encoding_format: Literal["float", "base64"] = "float"

    def texts(self) -> list[str]:
        """The inputs as texts; token ids become words."""
        if isinstance(self.input, str):
            return [self.input]
        if self.input and isinstance(self.input[0], int):
            return [" ".join(str(token) for token in self.input)]
        return [
            item if isinstance(item, str) else " ".join(str(token) for token in item)
            for item in self.input
            if not isinstance(item, int)
        ]


async def read_body(request: Request, kind: type[_Body]) -> _Body:
    """The validated body, or `ApiError` 400 that names every wrong field."""
    raw = await request.body()
    try:
        return kind.model_validate(from_json(raw))
    except ValidationError as error:
        first = error.errors()[0]
        problems = "; ".join(
            f"{'.'.join(str(part) for part in entry['loc'])}: {entry['msg']}"
            for entry in error.errors()
        )
        raise invalid_request(
            f"Invalid request: {problems}", param=str(first["loc"][0]) if first["loc"] else None
        ) from error
    except ValueError as error:
        raise invalid_request(
            f"We could not parse the JSON body of your request: {error}"
        ) from error


def model_request(body: ChatBody) -> ModelRequest:
    """The request as skills see it, or `ApiError` 400 when OpenAI would refuse it."""
    if body.n not in {None, 1}:
        raise invalid_request(f"This server answers with n=1 only, got n={body.n}.", param="n")
    _check_tool_messages(body.messages)
    schema = body.response_format.json_schema if body.response_format else None
    return ModelRequest(
        model=body.model,
        messages=tuple(_message(message) for message in body.messages),
        tools=_tools(body),
        required_tool=_required_tool(body),
        json_schema=schema.json_schema if schema else None,
        json_object=body.response_format is not None and body.response_format.type == "json_object",
    )


def _tools(body: ChatBody) -> tuple[Tool, ...]:
    if body.tool_choice == "none":
        return ()
    return tuple(
        Tool(tool.function.name, tool.function.description or "", tool.function.parameters)
        for tool in body.tools or ()
    )


def _required_tool(body: ChatBody) -> str:
    if not isinstance(body.tool_choice, NamedTool):
        return "*" if body.tool_choice == "required" else ""
    name = body.tool_choice.function.name
    if name not in {tool.function.name for tool in body.tools or ()}:
        raise invalid_request(
            f"Invalid value for 'tool_choice': no function named {name!r} was specified in the"
            " 'tools' parameter.",
            param="tool_choice",
        )
    return name


def _message(message: ChatMessage) -> Message:
    content = message.content or ""
    return Message(
        role=message.role,
        content=content if isinstance(content, str) else "".join(part.text for part in content),
        tool_calls=tuple(_called(call) for call in message.tool_calls or ()),
        tool_call_id=message.tool_call_id or "",
    )


def _called(call: CalledTool) -> ToolCall:
    try:
        arguments = json.loads(call.function.arguments or "{}")
    except ValueError:
        arguments = {}
    return ToolCall(call.function.name, arguments if isinstance(arguments, dict) else {}, call.id)


def _check_tool_messages(messages: list[ChatMessage]) -> None:
    """OpenAI refuses tool messages without their call, and calls without an answer."""
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in open_calls:
                raise _orphan(index)
            open_calls.discard(message.tool_call_id)
            continue
        if open_calls:
            break
        open_calls = {call.id for call in message.tool_calls or ()}
    if open_calls:
        raise invalid_request(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to"
            " each 'tool_call_id'. The following tool_call_ids did not have response messages:"
            f" {', '.join(sorted(open_calls))}",
            param="messages",
        )


def _orphan(index: int) -> ApiError:
    return invalid_request(
        "Invalid parameter: messages with role 'tool' must be a response to a preceding message"
        f" with 'tool_calls' (messages[{index}]).",
        param=f"messages.[{index}].role",
    )
