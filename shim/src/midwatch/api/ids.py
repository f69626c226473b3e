"""The ids of what runs now, to be used later, elsewhere."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from opentelemetry import trace

from midwatch.api.arguments import shown
from midwatch.instruments.turn_state import current_turn, finished_turn

_HEX = {"trace_id": 32, "span_id": 16}
_MAX_LENGTH = 256


@dataclass(frozen=True)
class Ids:
    """The ids of a turn, its session, its trace and a span in it; empty where there is none.

    It can be kept as it is, as a dict (`as_dict`) or as a short text (`token`), and given to
    `midwatch.feedback(handle=...)` in another request or process.
    """

    trace_id: str = ""
    span_id: str = ""
    session_id: str = ""
    turn_id: str = ""

    def __bool__(self) -> bool:
        """Whether there is any id."""
        return any(asdict(self).values())

    @property
    def token(self) -> str:
        """The ids as a text that is safe in URLs, cookies and forms."""
        text = json.dumps(list(asdict(self).values()), separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def as_dict(self) -> dict[str, str]:
        """The ids by name."""
        return asdict(self)


def current_ids() -> Ids:
    """The ids of the turn and the span that run here, or of the turn that has just ended."""
    span = trace.get_current_span().get_span_context()
    turn = current_turn() or finished_turn()
    if turn is not None and not span.is_valid:
        span = turn.span.get_span_context()
    return Ids(
        f"{span.trace_id:032x}" if span.is_valid else "",
        f"{span.span_id:016x}" if span.is_valid else "",
        turn.session_id if turn else "",
        turn.turn_id if turn else "",
    )


def read_ids(given: object) -> tuple[Ids, list[str]]:
    """The ids of a handle (`Ids`, a dict or a token), and what is wrong with it."""
    if isinstance(given, Ids):
        return checked(given)
    if isinstance(given, Mapping):
        names = [one.name for one in fields(Ids)]
        unknown = sorted(str(name) for name in given if name not in names)
        if unknown:
            allowed = ", ".join(names)
            return Ids(), [f"handle: unknown {', '.join(unknown)}; allowed are {allowed}"]
        return checked(Ids(**{name: given.get(name) or "" for name in names}))
    if isinstance(given, str):
        try:
            values = json.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
            return checked(Ids(*values))
        except (binascii.Error, ValueError, TypeError):
            pass
    return Ids(), [
        f"handle: {shown(given)} is none; give what midwatch.current_ids() returned in the turn, "
        "or its .token"
    ]


def checked(ids: Ids) -> tuple[Ids, list[str]]:
    """The ids if all are what such ids are, and what is wrong with them."""
    problems: list[str] = []
    for name, value in asdict(ids).items():
        if not isinstance(value, str) or len(value) > _MAX_LENGTH:
            problems.append(f"{name}: needs a text of at most {_MAX_LENGTH} characters")
        elif value and name in _HEX and not _is_hex(value, _HEX[name]):
            problems.append(f"{name}: {value!r} needs {_HEX[name]} hexadecimal digits, not all 0")
    if ids.span_id and not ids.trace_id:
        problems.append("span_id: needs the trace_id too")
    return (Ids(), problems) if problems else (ids, [])


def _is_hex(value: str, length: int) -> bool:
    return bool(re.fullmatch(rf"[0-9a-f]{{{length}}}", value)) and int(value, 16) > 0
