"""`POST /alerts/webhook`: what Alertmanager sends to a webhook receiver."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from midwatch_ledger.api.problems import documented
from midwatch_ledger.services import alerts

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
