"""What live clients say, checked; all that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from midwatch_ledger.services.live_listener import Subscription, resumption_of
from midwatch_ledger.services.live_topics import TOPICS

_STRICT = ConfigDict(extra="forbid")
Name = Annotated[str, Field(min_length=1, max_length=100)]
Value = Annotated[str, Field(max_length=500)]
Values = Value | Annotated[list[Value], Field(min_length=1, max_length=50)]
FROM_URL = "url"
"""The name of the subscription that stands in the address."""


class ProtocolError(Exception):
    """What a client said can't be done; the text says what to say instead."""


class Subscribe(BaseModel):
    """Asks for records of these topics whose fields have these values."""

    model_config = _STRICT

    type: Literal["subscribe"]
    id: Name = "default"
    topics: Annotated[list[str], Field(min_length=1, max_length=20)]
    filter: Annotated[dict[str, Values], Field(max_length=20)] = {}
    last_id: Annotated[str | None, Field(max_length=150)] = None


class Unsubscribe(BaseModel):
    """Takes a subscription back."""

    model_config = _STRICT

    type: Literal["unsubscribe"]
    id: Name = "default"


class Ping(BaseModel):
    """Asks for a sign of life."""

    model_config = _STRICT

    type: Literal["ping"]


Said = Annotated[Subscribe | Unsubscribe | Ping, Field(discriminator="type")]
_SAID: TypeAdapter[Subscribe | Unsubscribe | Ping] = TypeAdapter(Said)


@dataclass(frozen=True)
class Wanted:
    """A subscription, and where it resumes."""

    subscription: Subscription
    last_id: str | None


def read(text: str) -> Wanted | Unsubscribe | Ping:
    """Return what a client says.

    Raises:
        ProtocolError: it can't be understood.
    """
    try:
        said = _SAID.validate_json(text)
    except ValidationError as error:
        raise ProtocolError(_told(error)) from None
    return _wanted(said) if isinstance(said, Subscribe) else said


def of_address(parameters: Mapping[str, str]) -> Wanted | None:
    """Return what the parameters of the address ask for, None if they ask for nothing.

    Raises:
        ProtocolError: they can't be understood.
    """
    fields = dict(parameters)
    topics, last_id = fields.pop("topics", ""), fields.pop("last_id", None)
    if not topics:
        if fields or last_id:
            raise ProtocolError("the address has no topics: add, say, ?topics=traces,alerts")
        return None
    said: dict[str, Any] = {
        "type": "subscribe",
        "id": FROM_URL,
        "topics": topics.split(","),
        "last_id": last_id,
    }
    said["filter"] = {name: value.split(",") for name, value in fields.items()}
    found = read(orjson.dumps(said).decode())
    return found if isinstance(found, Wanted) else None


def _wanted(said: Subscribe) -> Wanted:
    problems = [
        f"there is no topic {name!r}; there are {', '.join(TOPICS)}"
        for name in said.topics
        if name not in TOPICS
    ]
    known = [TOPICS[name] for name in said.topics if name in TOPICS]
    problems += [
        f"topic {topic.name} can't be filtered by {name!r}; it can by "
        f"{', '.join(sorted(topic.fields))} (topics with other fields go into a subscription of "
        "their own)"
        for topic in known
        for name in said.filter
        if name not in topic.fields
    ]
    resumption = None
    try:
        resumption = None if said.last_id is None else resumption_of(said.last_id)
    except ValueError:
        problems.append(f"last_id {said.last_id!r} is not the id of a message from here")
    if problems:
        raise ProtocolError("; ".join(problems))
    filters = {
        name: frozenset([given] if isinstance(given, str) else given)
        for name, given in said.filter.items()
    }
    return Wanted(Subscription(said.id, frozenset(said.topics), filters, resumption), said.last_id)


def _told(error: ValidationError) -> str:
    def place(problem: Any) -> str:
        return ".".join(str(part) for part in problem["loc"]) or "message"

    return "; ".join(f"{place(problem)}: {problem['msg']}" for problem in error.errors())
