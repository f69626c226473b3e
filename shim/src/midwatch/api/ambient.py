"""What is in force from a call that starts it to a call that ends it, without a block around it.

Both calls may be in any order with those of others, in other tasks, or missing: what has ended is
never left in force in the context that started it, and no other context is touched.
"""

from __future__ import annotations

from typing import cast

from opentelemetry.context import Context, attach, create_key, get_current, get_value, set_value

from midwatch.instruments.turn_state import CURRENT_TURN, Turn

_KEY = create_key("midwatch-started")


class Ambient:
    """One thing that is in force."""

    def __init__(self) -> None:
        self.ended = False
        self._before: tuple[Context, Turn | None] | None = None

    def start(self, context: Context, turn: Turn | None = None) -> None:
        """Come into force here, with this context and, if it is one, as this turn."""
        self._before = (get_current(), CURRENT_TURN.get())
        attach(set_value(_KEY, self, context))
        if turn is not None:
            CURRENT_TURN.set(turn)

    @property
    def is_innermost(self) -> bool:
        """Whether it came into force last in this context."""
        return get_value(_KEY) is self

    def end(self) -> None:
        """Be in force no more; whatever ended before and was waiting for it goes as well."""
        self.ended = True
        innermost = cast("Ambient | None", get_value(_KEY))
        before: tuple[Context, Turn | None] | None = None
        while innermost is not None and innermost.ended and innermost._before is not None:
            before = innermost._before
            innermost = cast("Ambient | None", get_value(_KEY, before[0]))
        if before is not None:
            attach(before[0])
            CURRENT_TURN.set(before[1])
