"""`/prompts`: the registry that applications get their prompts from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from midwatch_ledger.api.answers import Limit, Offset, json_answer
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.services import prompts
from midwatch_ledger.services.prompts import (
    Change,
    PromptInvalidError,
    UnknownPromptError,
    VersionTakenError,
)

router = APIRouter(prefix="/prompts", tags=["prompts"])

By = Annotated[str, Field(min_length=1, max_length=200, description="Who changes it.")]
Words = Annotated[str | None, Field(max_length=4000)]
_STRICT = ConfigDict(extra="forbid")


class PromptGiven(BaseModel):
    """A new prompt."""

    model_config = _STRICT

    name: str
    description: Words = None
    by: By


class VersionGiven(BaseModel):
    """A new version; all but `version`, `by` and `message` is as in a prompt file."""

    model_config = _STRICT

    version: str
    by: By
    message: Annotated[Words, Field(description="Why this version.")] = None
    description: str | None = None
    type: Literal["text", "chat"] | None = None
    variables: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    template: Annotated[str | None, Field(max_length=1_000_000)] = None
    messages: list[dict[str, Any]] | None = None


class Variant(BaseModel):
    """One arm of an experiment."""

    model_config = _STRICT

    version: str
    weight: float


class LabelGiven(BaseModel):
    """What a label stands for: a version, or variants that share the sessions by weight."""

    model_config = _STRICT

    by: By
    note: Words = None
    version: str | None = None
    experiment: str | None = None
    variants: dict[str, Variant] | None = None


class RollbackGiven(BaseModel):
    """Who rolls back, and why."""

    model_config = _STRICT

    by: By
    note: Words = None


class VersionAnswer(BaseModel):
    """One version; what its definition leaves out is absent."""

    model_config = ConfigDict(extra="allow")

    prompt: str
    version: str
    message: str | None
    created_by: str
    created_at: datetime


class PromptAnswer(BaseModel):
    """A prompt, what its labels stand for, and every version that a label names."""

    name: str
    description: str | None
    created_by: str
    created_at: datetime
    labels: dict[str, Any]
    versions: list[VersionAnswer]


class PromptsAnswer(BaseModel):
    """Prompts in the order of their names."""

    items: list[PromptAnswer]


class VersionsAnswer(BaseModel):
    """Versions, the newest first."""

    items: list[VersionAnswer]


class LabelChange(BaseModel):
    """What a label stands for, since when, and who said so."""

    prompt: str
    label: str
    number: int
    assignment: Any
    note: str | None
    changed_by: str
    changed_at: datetime


class LabelHistory(BaseModel):
    """What a label stood for, the newest first."""

    items: list[LabelChange]


@router.get("", response_model=PromptsAnswer, responses=documented(401, 422, 503))
def list_prompts(
    request: Request, name: str | None = None, limit: Limit = 100, offset: Offset = 0
) -> Response:
    """List prompts, or the one of a name, with labels and the versions that these name."""
    with request.app.state.database.reading() as connection:
        found = prompts.listed(connection, name, limit=limit, offset=offset)
        return json_answer({"items": found})


@router.post("", status_code=201, response_model=PromptAnswer, responses=documented(401, 422, 503))
def create_prompt(request: Request, given: PromptGiven) -> Response:
    """Create a prompt; one that exists stays as it is."""
    with _writing(request) as connection:
        created = prompts.create(connection, given.name, given.description, _change(given.by))
        return json_answer(created, 201)


@router.get(
    "/{name}/versions", response_model=VersionsAnswer, responses=documented(401, 404, 422, 503)
)
def list_versions(request: Request, name: str) -> Response:
    """List all versions of a prompt, the newest first."""
    with _reading(request) as connection:
        return json_answer({"items": prompts.versions(connection, name)})


@router.post(
    "/{name}/versions",
    status_code=201,
    response_model=VersionAnswer,
    responses=documented(401, 404, 409, 422, 503),
)
def add_version(request: Request, name: str, given: VersionGiven) -> Response:
    """Add a version, which then never changes; adding the same again changes nothing."""
    definition = given.model_dump(exclude={"version", "by", "message"}, exclude_none=True)
    with _writing(request) as connection:
        try:
            added = prompts.add_version(
                connection, name, given.version, definition, _change(given.by, given.message)
            )
        except VersionTakenError:
            raise ProblemError(
                409,
                f"version {given.version!r} of prompt {name!r} says something else, and versions "
                "never change; give the new text a new version",
            ) from None
        return json_answer(added, 201)


@router.get(
    "/{name}/versions/{version}",
    response_model=VersionAnswer,
    responses=documented(401, 404, 422, 503),
)
def get_version(request: Request, name: str, version: str) -> Response:
    """Give one version of a prompt."""
    with _reading(request) as connection:
        return json_answer(prompts.version(connection, name, version))


@router.get(
    "/{name}/diff",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **documented(401, 404, 422, 503)},
)
def compare_versions(
    request: Request,
    name: str,
    old: Annotated[str, Query(alias="from")],
    new: Annotated[str, Query(alias="to")],
) -> Response:
    """Show how two versions differ, as `diff -u` would."""
    with _reading(request) as connection:
        return Response(
            prompts.difference(connection, name, old, new), media_type="text/plain; charset=utf-8"
        )


@router.put(
    "/{name}/labels/{label}",
    response_model=LabelChange,
    responses=documented(401, 404, 422, 503),
)
def set_label(request: Request, name: str, label: str, given: LabelGiven) -> Response:
    """Have a label stand for a version, or for an experiment, from now on."""
    with _writing(request) as connection:
        change = _change(given.by, given.note)
        return json_answer(prompts.assign(connection, name, label, _assignment(given), change))


@router.post(
    "/{name}/labels/{label}/rollback",
    response_model=LabelChange,
    responses=documented(401, 404, 422, 503),
)
def roll_back(request: Request, name: str, label: str, given: RollbackGiven) -> Response:
    """Have a label stand again for what it stood for before its last change."""
    with _writing(request) as connection:
        change = _change(given.by, given.note)
        return json_answer(prompts.roll_back(connection, name, label, change))


@router.get(
    "/{name}/labels/{label}", response_model=LabelHistory, responses=documented(401, 404, 422, 503)
)
def get_label(request: Request, name: str, label: str) -> Response:
    """List what a label stood for, who changed it and why, the newest first."""
    with _reading(request) as connection:
        return json_answer({"items": prompts.history(connection, name, label)})


def _change(by: str, note: str | None = None) -> Change:
    return Change(by, datetime.now(UTC), note)


def _assignment(given: LabelGiven) -> object:
    if (given.version is None) == (given.variants is None):
        raise ProblemError(
            422, "a label stands for a `version` or for `variants`: give one of them"
        )
    if given.variants is None:
        return given.version
    variants = {name: variant.model_dump() for name, variant in given.variants.items()}
    named = {} if given.experiment is None else {"experiment": given.experiment}
    return {**named, "variants": variants}


@contextmanager
def _reading(request: Request) -> Iterator[Any]:
    with _told(), request.app.state.database.reading() as connection:
        yield connection


@contextmanager
def _writing(request: Request) -> Iterator[Any]:
    with _told(), request.app.state.database.writing() as connection:
        yield connection


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except UnknownPromptError as error:
        raise ProblemError(404, str(error)) from None
    except PromptInvalidError as error:
        raise ProblemError(422, str(error)) from None
