"""`/alerts`: what Alertmanager sends to a webhook receiver, and what people do about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.responses import RedirectResponse

from midwatch_ledger.api.answers import json_answer
from midwatch_ledger.api.pages import wants_page
from midwatch_ledger.api.problems import ProblemError, documented
from midwatch_ledger.api.schemas import AlertWithActions
from midwatch_ledger.services import acknowledgements, alerts
from midwatch_ledger.services.acknowledgements import Action, AlertResolvedError

router = APIRouter(prefix="/alerts", tags=["alerts"])

_CAMEL = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class WebhookAlert(BaseModel):
    """One alert as Alertmanager writes it."""

    model_config = _CAMEL

    status: Literal["firing", "resolved"]
    fingerprint: str = Field(min_length=1)
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    generator_url: str | None = Field(default=None, alias="generatorURL")


class Webhook(BaseModel):
    """Alertmanager's webhook payload, version 4."""

    model_config = _CAMEL

    version: Literal["4"] = "4"
    receiver: str | None = None
    group_key: str | None = None
    external_url: str | None = Field(default=None, alias="externalURL")
    alerts: list[WebhookAlert]


class Taken(BaseModel):
    """Who takes an alert on, and what there is to say."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(min_length=1, max_length=200, description="Who does it.")
    note: str | None = Field(default=None, min_length=1, max_length=4000)


class Note(BaseModel):
    """Something to remember about an alert."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(min_length=1, max_length=200, description="Who says it.")
    note: str = Field(min_length=1, max_length=4000)


@router.post(
    "/webhook", status_code=204, response_class=Response, responses=documented(401, 422, 503)
)
def take_webhook(request: Request, webhook: Webhook) -> Response:
    """Keep the alerts in the history; a repeated notification changes nothing."""
    notification = alerts.Notification(
        webhook.receiver,
        webhook.group_key,
        webhook.external_url,
        [alerts.AlertState(**alert.model_dump()) for alert in webhook.alerts],
    )
    with request.app.state.database.writing() as connection:
        alerts.record(connection, notification, datetime.now(UTC))
    return Response(status_code=204)


@router.get(
    "/{identifier}",
    response_model=AlertWithActions,
    responses={
        303: {"description": "To the page of the alert, for browsers."},
        **documented(401, 404, 422, 503),
    },
)
def get_alert(request: Request, identifier: str) -> Response:
    """Give an alert and what was done about it, by a state's id or by its fingerprint."""
    if wants_page(request.scope):
        page = request.url_for("show_alert", identifier=identifier).path
        return RedirectResponse(page, 303, headers={"Vary": "Accept"})
    with request.app.state.database.reading() as connection:
        return json_answer(_known(acknowledgements.find(connection, identifier), identifier))


@router.post(
    "/{identifier}/acknowledge",
    response_model=AlertWithActions,
    responses=documented(401, 404, 409, 422, 503),
)
def acknowledge(request: Request, identifier: str, taken: Taken) -> Response:
    """Take an alert on: it does not escalate any more."""
    return _answer(request, identifier, Action("acknowledge", taken.by, taken.note))


@router.post(
    "/{identifier}/withdraw",
    response_model=AlertWithActions,
    responses=documented(401, 404, 422, 503),
)
def withdraw(request: Request, identifier: str, taken: Taken) -> Response:
    """Take an acknowledgement back: the alert waits for somebody again."""
    return _answer(request, identifier, Action("withdraw", taken.by, taken.note))


@router.post(
    "/{identifier}/notes",
    response_model=AlertWithActions,
    responses=documented(401, 404, 422, 503),
)
def add_note(request: Request, identifier: str, note: Note) -> Response:
    """Add a note to an alert, whether it still fires or not."""
    return _answer(request, identifier, Action("note", note.by, note.note))


def act(request: Request, identifier: str, action: Action) -> dict[str, Any] | None:
    """Do something about an alert and return it, None where none is kept.

    Raises:
        ProblemError: 409, it is resolved.
    """
    with request.app.state.database.writing() as connection:
        try:
            return acknowledgements.act(connection, identifier, action, datetime.now(UTC))
        except AlertResolvedError:
            raise ProblemError(
                409, "the alert is resolved, there is nothing to acknowledge; add a note instead"
            ) from None


def _answer(request: Request, identifier: str, action: Action) -> Response:
    return json_answer(_known(act(request, identifier, action), identifier))


def _known(alert: dict[str, Any] | None, identifier: str) -> dict[str, Any]:
    if alert is None:
        raise ProblemError(
            404,
            f"no alert {identifier!r} is kept; GET /monitoring/alerts lists ids and fingerprints",
        )
    return alert
