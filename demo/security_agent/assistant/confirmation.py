"""The confirmation gate: dangerous changes wait for a person's word in a later message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

_YES = re.compile(r"^\W*(yes|y|confirm(ed)?|approve[d]?|go ahead|do it|proceed|ok(ay)?)\b", re.I)
_NO = re.compile(r"^\W*(no|n|cancel|stop|abort|reject(ed)?|don'?t|do not)\b", re.I)


@dataclass(frozen=True)
class PendingAction:
    """A dangerous call that waits for its confirmation."""

    tool: str
    arguments: Mapping[str, object]
    summary: str

    def as_json(self) -> dict[str, object]:
        """The action as it is kept in the session and shown to the person."""
        return asdict(self)


def pending_of(context: Mapping[str, object]) -> PendingAction | None:
    """The action that waits in this session."""
    kept = context.get("pending_action")
    return PendingAction(**kept) if isinstance(kept, dict) else None


def verdict_of(text: str, confirm: bool | None) -> bool | None:
    """The person's word on a waiting action: yes, no, or none at all."""
    if confirm is not None:
        return confirm
    if _YES.match(text):
        return True
    return False if _NO.match(text) else None
