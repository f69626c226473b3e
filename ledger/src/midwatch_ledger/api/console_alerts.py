"""The console's page of an alert, to which messages link: take it on, give it back, add a note."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import RedirectResponse

from midwatch_ledger.api.alerts import act
from midwatch_ledger.api.pages import Form, read_form, render
from midwatch_ledger.api.problems import ProblemError
from midwatch_ledger.services import acknowledgements
from midwatch_ledger.services.acknowledgements import Action, ActionName

router = APIRouter(
    prefix="/console/alerts", include_in_schema=False, dependencies=[Depends(read_form)]
)

_MOST_NOTE = 4000


@router.get("/{identifier}", name="show_alert")
def show_alert(request: Request, identifier: str) -> Response:
    """Show an alert, by its fingerprint or the id of one of its states."""
    with request.app.state.database.reading() as connection:
        alert = acknowledgements.find(connection, identifier)
    if alert is None:
        raise ProblemError(404, f"no alert {identifier!r} is kept; it may be older than is kept")
    return render(request, "alert.html", alert=alert, identifier=identifier)


@router.post("/{identifier}/acknowledge")
def acknowledge(request: Request, identifier: str, form: Form) -> Response:
    """Take an alert on."""
    return _act(request, identifier, "acknowledge", form.get("note", ""))


@router.post("/{identifier}/withdraw")
def withdraw(request: Request, identifier: str, form: Form) -> Response:
    """Give an alert back."""
    return _act(request, identifier, "withdraw", form.get("note", ""))


@router.post("/{identifier}/notes")
def add_note(request: Request, identifier: str, form: Form) -> Response:
    """Add a note."""
    note = form.get("note", "").strip()
    if not note:
        raise ProblemError(422, "a note without a word says nothing: go back and write it")
    return _act(request, identifier, "note", note)


def _act(request: Request, identifier: str, name: ActionName, note: str) -> Response:
    """Do it in the name of whoever is logged in, and show the alert."""
    if len(note) > _MOST_NOTE:
        raise ProblemError(422, f"a note has at most {_MOST_NOTE} characters; this has {len(note)}")
    by = request.state.principal.name.partition(":")[2] or request.state.principal.name
    alert = act(request, identifier, Action(name, by, note.strip() or None))
    if alert is None:
        raise ProblemError(404, f"no alert {identifier!r} is kept")
    return RedirectResponse(request.url_for("show_alert", identifier=identifier).path, 303)
