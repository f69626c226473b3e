"""What a kind of secret or of personal data is, and the pieces that its patterns are made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Check = Callable[[re.Match[str]], int]
"""How long the found piece really is, counted from its beginning; 0 if it is none."""


@dataclass(frozen=True)
class Kind:
    """One kind of text that must not leave.

    Attributes:
        name: the value of the label `kind`, and what stands in place of the text.
        description: what it is.
        pattern: the text, from the trigger on; its group `value`, if it has one, is what goes.
        triggers: one of them is in the text, else it is not searched; without any, the pattern
            itself is searched.
        fold: whether upper and lower case are the same in triggers.
        after: whether the pattern begins after the trigger, not with it.
        before: what may stand before the trigger and belongs to it; matched up to its end.
        lead: how many characters before the pattern's match belong to the text.
        check: tells the real ones from others.
        personal: whether it is personal data; otherwise it is a secret.
    """

    name: str
    description: str
    pattern: re.Pattern[str]
    triggers: tuple[str, ...] = ()
    fold: bool = False
    after: bool = False
    before: re.Pattern[str] | None = None
    lead: int = 0
    check: Check | None = None
    personal: bool = False


# The beginning of a word, also right after an escaped line break as JSON writes it.
EDGE = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrtbf]))"
# The same after the first character was matched already, which lets the search skip ahead to it.
EDGE_1 = r"(?:(?<![A-Za-z0-9_].)(?<!\d\..)|(?<=\\[nrtbf].))"
EDGE_3 = r"(?:(?<![A-Za-z0-9_]...)|(?<=\\[nrtbf]...))"
GAP = r"(?:[\s+.\-\u2010-\u2015\u00a0]|\\{1,4}[nrt]|%20)"


def pattern(text: str) -> re.Pattern[str]:
    """The compiled pattern."""
    return re.compile(text)


def whole(is_real: Callable[[str], bool]) -> Check:
    """A check of the whole match."""
    return lambda match: match.end() - match.start() if is_real(match[0]) else 0


def value(is_real: Callable[[str], bool]) -> Check:
    """A check of the group `value`."""
    return lambda match: match.end("value") - match.start() if is_real(match["value"]) else 0
