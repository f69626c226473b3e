"""Finds personal data and secrets in texts and puts markers in their place."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from opentelemetry.metrics import CallbackOptions, Observation

from midwatch.pipeline.failures import FAILURES
from midwatch.pipeline.redaction_kinds import KINDS
from midwatch.pipeline.redaction_model import Kind
from midwatch.registry.own_metrics import REDACTIONS

_SHORTEST = 6
"""No kind has a shorter text."""

_MARGIN = 20_000
"""How far beyond a cut is looked, so that what is cut in two is still recognised."""

_CACHE_ENTRIES = 4096
_MARKER = "[redacted:"
_ESCAPES = frozenset("nrtbf")
_UNICODE_ESCAPE = re.compile(r"\\{1,8}u([0-9a-fA-F]{4})")


@dataclass(frozen=True, slots=True)
class Finding:
    """A piece of a text, by its positions, that must not leave."""

    start: int
    end: int
    kind: str


Findings = tuple[Finding, ...]

Engine = Callable[[str], Iterable[Finding]]
"""Another way to find what must not leave."""


class Redactor:
    """Redacts texts; remembers of each only where something was found, never the text itself.

    A text that was looked at before is recognised by its hash, so that a history which grows turn
    by turn is not searched again each time.

    Args:
        patterns: the user's own; all that they match goes, as kind `custom`.
        engines: other ways to find something, called after the table.
    """

    def __init__(
        self, patterns: Sequence[re.Pattern[str]] = (), engines: Sequence[Engine] = ()
    ) -> None:
        self._patterns = tuple(patterns)
        self._engines = tuple(engines)
        self._lock = threading.Lock()
        # Known at zero, so that the first finding is an increase and not a new series.
        self._counts: Counter[str] = Counter({kind.name: 0 for kind in KINDS})
        # Two generations: the older one goes as a whole when the younger is full.
        self._young: dict[tuple[int, int], Findings] = {}
        self._old: dict[tuple[int, int], Findings] = {}

    def redact(self, text: str) -> str:
        """The text with a marker in place of each finding; the same object if there is none."""
        # What is known to be clean, most of what there is, costs one look-up.
        length = len(text)
        if length < _SHORTEST or self._young.get((hash(text), length)) == ():
            return text
        plain = _without_escapes(text)
        found = self.findings(plain)
        return self.vouch(_replaced(plain, found)) if found else text

    def redact_head(self, text: str, length: int) -> str:
        """The first `length` characters, redacted; what the cut goes through is redacted whole."""
        if len(text) <= length:
            return self.redact(text)
        looked_at = _without_escapes(text[: length + _MARGIN])
        found = [finding for finding in self.findings(looked_at) if finding.start < length]
        return self.vouch(_replaced(looked_at[:length], found))

    def redact_id(self, text: str) -> str:
        """The text redacted so that different texts stay different, for ids."""
        if len(text) < _SHORTEST:
            return text
        plain = _without_escapes(text)
        found = self.findings(plain)
        if not found:
            return text
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()
        return f"{_replaced(plain, found)}#{digest}"

    def findings(self, text: str) -> Findings:
        """What must not leave, in order and without overlaps."""
        key = (hash(text), len(text))
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                found = self._search(text)
            self._remember(key, found)
        return found

    def counts(self) -> dict[str, int]:
        """How many pieces were found so far, by kind."""
        with self._lock:
            return dict(self._counts)

    def observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """The counts as observations of `midwatch_redactions_total`."""
        (kind_name,) = REDACTIONS.attribute_names
        return [Observation(count, {kind_name: kind}) for kind, count in self.counts().items()]

    def _search(self, text: str) -> Findings:
        try:
            found = list(find(text, self._patterns))
            for engine in self._engines:
                found.extend(engine(text))
        except Exception as error:
            # Nothing that could not be looked at may leave.
            FAILURES.note("redaction", error)
            found = [Finding(0, len(text), "failed")]
        merged = _merged(found)
        if merged:
            with self._lock:
                self._counts.update(finding.kind for finding in merged)
        return merged

    def vouch(self, text: str) -> str:
        """Remember that a text is made of redacted pieces, so that it is not searched again."""
        self._remember((hash(text), len(text)), ())
        return text

    def _remember(self, key: tuple[int, int], found: Findings) -> None:
        young = self._young
        if len(young) >= _CACHE_ENTRIES:
            self._old, self._young = young, {}
            young = self._young
        young[key] = found


def find(text: str, patterns: Sequence[re.Pattern[str]] = ()) -> Iterator[Finding]:
    """All findings of the table and of the user's patterns; they may overlap."""
    lowered = _lowered(text)
    has_underscore = "_" in text
    for kind in KINDS:
        if not kind.triggers:
            yield from _of_pattern(kind, text)
            continue
        searched = lowered if kind.fold else text
        for trigger in kind.triggers:
            # Prose has no underscores, and a third of the triggers has one.
            if (has_underscore or "_" not in trigger) and trigger in searched:
                yield from _of_trigger(kind, trigger, text, searched)
    for pattern in patterns:
        for match in pattern.finditer(text):
            if match.end() > match.start():
                yield Finding(match.start(), match.end(), "custom")


def _of_pattern(kind: Kind, text: str) -> Iterator[Finding]:
    position = 0
    while match := kind.pattern.search(text, position):
        length = kind.check(match) if kind.check else match.end() - match.start()
        if length:
            position = match.start() + length
            yield Finding(match.start() - kind.lead, position, kind.name)
        else:
            position = match.start() + 1


def _of_trigger(kind: Kind, trigger: str, text: str, searched: str) -> Iterator[Finding]:
    position = searched.find(trigger)
    while position >= 0:
        finding = _at(kind, trigger, text, position)
        if finding is not None:
            yield finding
        position = searched.find(trigger, finding.end if finding else position + len(trigger))


def _at(kind: Kind, trigger: str, text: str, position: int) -> Finding | None:
    start = position
    if kind.before is not None:
        begin = max(position - 64, 0)
        before = kind.before.search(text[begin:position])
        if before is None:
            return None
        start = begin + before.start()
    match = kind.pattern.match(text, position + len(trigger) if kind.after else position)
    if match is None:
        return None
    length = kind.check(match) if kind.check else match.end() - match.start()
    if not length:
        return None
    for group in ("value", "quoted", "bare"):
        if group in kind.pattern.groupindex and match[group] is not None:
            return _unless_marked(Finding(match.start(group), match.end(group), kind.name), text)
    return Finding(_after_escape(text, start), match.start() + length, kind.name)


def _unless_marked(finding: Finding, text: str) -> Finding | None:
    return None if text.startswith(_MARKER, finding.start) else finding


def _after_escape(text: str, start: int) -> int:
    """Leave the letter of an escaped line break to its backslash, so that JSON stays JSON."""
    slashes = 0
    while slashes < start and text[start - slashes - 1] == "\\":
        slashes += 1
    return start + 1 if slashes % 2 and text[start] in _ESCAPES else start


def _without_escapes(text: str) -> str:
    """The text with JSON's escapes of characters resolved; as JSON it says the same."""
    return _UNICODE_ESCAPE.sub(_unescaped, text) if "\\u" in text else text


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    is_plain = code >= 0x20 and code not in (0x22, 0x5C) and not 0xD800 <= code < 0xE000
    return chr(code) if is_plain else match[0]


def _lowered(text: str) -> str:
    """The text in lower case, with every character at its place."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text.replace("\u0130", "i").lower()


def _merged(found: Iterable[Finding]) -> Findings:
    merged: list[Finding] = []
    for finding in sorted(found, key=lambda one: (one.start, -one.end)):
        if merged and finding.start < merged[-1].end:
            last = merged[-1]
            if finding.end > last.end:
                merged[-1] = Finding(last.start, finding.end, last.kind)
        else:
            merged.append(finding)
    return tuple(merged)


def _replaced(text: str, found: Iterable[Finding]) -> str:
    pieces: list[str] = []
    position = 0
    for finding in found:
        pieces += (text[position : finding.start], _MARKER, finding.kind, "]")
        position = finding.end
    pieces.append(text[position:])
    return "".join(pieces)
