"""A server in place of Slack's incoming webhooks: `python -m stack.sinks.slack`.

`POST /services/T…/B…/<token>` takes what Slack takes; `GET /messages?after=` reads it back.
`PUT /control/faults/rate_limited` with `{"times": 2, "retry_after": 1}` makes the next posts fail
with 429; `PUT /control/faults/refused` with `{"times": 1, "status": 410, "word":
"channel_is_archived"}` makes them fail with any answer of Slack's; `DELETE` on either ends it, and
`GET /control/state` tells which are set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stack.sinks.mailbox import Mailbox
from stack.sinks.reading import reading_routes
from stack.sinks.webhook import Refusal, check_payload, read_payload

_MAX_BODY_BYTES = 512 * 1024
_FAULTS: dict[str, dict[str, Any]] = {
    "rate_limited": {"times": 1, "retry_after": 1},
    "refused": {"times": 1, "status": 500, "word": "rollup_error"},
}


class SlackSink:
    """Answers as Slack does.

    Args:
        mailbox: gets what is accepted.
        secret_path: the one path of a webhook that exists, `/services/T…/B…/<token>`.
        channels: the channels there are; None knows all.
    """

    def __init__(
        self, mailbox: Mailbox, secret_path: str, channels: frozenset[str] | None = None
    ) -> None:
        self._mailbox = mailbox
        self._team, self._hook, self._token = _parts(secret_path)
        self._channels = channels
        self._faults: dict[str, dict[str, Any]] = {}
        self._left: dict[str, int] = {}

    def application(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/services/{team}/{hook}/{token}", self._post, methods=["POST"]),
            Route("/control/faults/{name}", self._set_fault, methods=["PUT"]),
            Route("/control/faults/{name}", self._clear_fault, methods=["DELETE"]),
            Route("/control/state", self._state),
            *reading_routes(self._mailbox),
        ]
        return Starlette(routes=routes)

    async def _post(self, request: Request) -> Response:
        body = await request.body()
        try:
            self._authorise(request.path_params)
            if len(body) > _MAX_BODY_BYTES:
                raise Refusal(400, "invalid_payload")
            if self._uses_up("rate_limited") is not None:
                seconds = str(self._faults["rate_limited"]["retry_after"])
                return PlainTextResponse("rate_limited", 429, {"Retry-After": seconds})
            if (fault := self._uses_up("refused")) is not None:
                raise Refusal(int(fault["status"]), str(fault["word"]))
            payload = read_payload(request.headers.get("content-type", ""), body)
            check_payload(payload, self._channels)
        except Refusal as refusal:
            return PlainTextResponse(refusal.word, refusal.status)
        self._mailbox.add({"channel": payload.get("channel"), "payload": payload})
        return PlainTextResponse("ok")

    def _authorise(self, given: Mapping[str, str]) -> None:
        if given["team"] != self._team:
            raise Refusal(404, "no_team")
        if given["hook"] != self._hook:
            raise Refusal(404, "no_service")
        if given["token"] != self._token:
            raise Refusal(403, "invalid_token")

    def _uses_up(self, name: str) -> dict[str, Any] | None:
        fault = self._faults.get(name)
        if fault is None or self._left[name] <= 0:
            return None
        self._left[name] -= 1
        return fault

    async def _set_fault(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FAULTS:
            return JSONResponse(
                {"error": f"there is no fault {name!r}; there are {', '.join(sorted(_FAULTS))}"},
                status_code=404,
            )
        given = await request.json() if await request.body() else {}
        unknown = sorted(set(given) - set(_FAULTS[name]))
        if unknown:
            allowed = ", ".join(sorted(_FAULTS[name]))
            message = f"{name} has no {', '.join(unknown)}; it has {allowed}"
            return JSONResponse({"error": message}, status_code=400)
        self._faults[name] = {**_FAULTS[name], **given}
        self._left[name] = int(self._faults[name]["times"])
        return JSONResponse(self._faults[name])

    async def _clear_fault(self, request: Request) -> Response:
        self._faults.pop(request.path_params["name"], None)
        return JSONResponse({})

    async def _state(self, _: Request) -> Response:
        active = {name: given for name, given in self._faults.items() if self._left[name] > 0}
        return JSONResponse({"faults": active})


def _parts(secret_path: str) -> tuple[str, str, str]:
    parts = secret_path.strip("/").split("/")
    if len(parts) != 4 or parts[0] != "services" or not all(parts):
        raise ValueError(
            "the webhook's path must look like /services/T00000000/B00000000/token; change "
            "SLACK_WEBHOOK_PATH"
        )
    return parts[1], parts[2], parts[3]


def main(
    host: Annotated[str, typer.Option(envvar="HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT")] = 8070,
    mailbox: Annotated[Path | None, typer.Option(envvar="MAILBOX_FILE")] = None,
) -> None:
    """Serve until SIGTERM. The webhook's path comes from SLACK_WEBHOOK_PATH: it is a secret."""
    try:
        sink = SlackSink(Mailbox(mailbox), os.environ.get("SLACK_WEBHOOK_PATH", ""))
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from None
    uvicorn.run(sink.application(), host=host, port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    typer.run(main)
