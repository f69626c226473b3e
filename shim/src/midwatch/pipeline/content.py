"""The one place that decides what of a text may leave the process."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from midwatch.config import Settings
from midwatch.pipeline.content_cut import cut_messages
from midwatch.pipeline.content_names import Sort, sort_of
from midwatch.pipeline.redaction import Redactor
from midwatch.pipeline.redaction_checks import is_password, is_secret_value
from midwatch.pipeline.redaction_presidio import presidio_engine

Mode = Literal["off", "redacted", "full"]

DEFAULT_MAX_BYTES = 128 << 10

_LONGEST_MESSAGE = 500
_FRAME = re.compile(r'^ +File "[^"\n]{1,512}", line \d+(?:, in [\w.<>]+)?$', re.MULTILINE)
_SQL_TEXT = re.compile(r"'(?:[^'\\]|''|\\.)*+'?")
_TYPE = re.compile(r"[A-Za-z_][\w.]{0,200}")
_HEADER_MARK = "[redacted:header]"
_PASSWORD_MARK = "[redacted:password]"  # noqa: S105 (a marker)
_SECRET_MARK = "[redacted:secret]"  # noqa: S105 (a marker)

_NUMBERS = frozenset({bool, int, float})
_TEXT = frozenset({str})

_REMEMBERED = 4096
_REMEMBERED_LENGTH = 128
"""How many attributes are remembered as such that may leave as they are, and how long a text."""

_Value = TypeVar("_Value")
_Known = str | tuple[str, object]
"""An attribute by its name, or by its name and its value: a text, or a tuple of texts."""


class ContentPolicy:
    """Says what becomes of content, and of every other text on its way out.

    At `off` content is left out, and everything else is redacted. At `redacted` all text is
    redacted. At `full` everything leaves as it is.

    Args:
        mode: what `MIDWATCH_CONTENT` says.
        redactor: finds personal data and secrets; by default by the table alone.
        max_bytes: how much of it one attribute may hold.
    """

    def __init__(
        self,
        mode: Mode = "off",
        redactor: Redactor | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self.mode: Mode = mode
        self.redactor = redactor or Redactor()
        self.max_bytes = max_bytes
        self.sparing = False
        """Whether turns that are not sampled go without content, because tracing is too dear."""
        self._harmless: set[_Known] = set()
        self._harmless_in: Mode = mode

    @classmethod
    def from_settings(cls, settings: Settings) -> ContentPolicy:
        """As the settings say; where an engine that they ask for is missing, content stays off."""
        mode: Mode = "off"
        if settings.content == "full":
            mode = "full"
        elif settings.content == "redacted":
            mode = "redacted"
        engines = []
        if settings.redact_engine == "presidio" and mode == "redacted":
            engine = presidio_engine()
            engines = [engine] if engine is not None else []
            mode = "redacted" if engines else "off"
        return cls(mode, Redactor(settings.redact_patterns, engines), settings.content_max_bytes)

    def spare(self, sparing: bool) -> None:
        """Have turns that are not sampled go without content, or with it again."""
        self.sparing = sparing

    @property
    def captures(self) -> bool:
        """Whether content leaves at all, so that nobody gathers it in vain."""
        return self.mode != "off"

    def content(self, text: str | None) -> str | None:
        """A prompt, an answer or another piece of content; None if it must not leave."""
        if text is None or self.mode == "off":
            return None
        return self.head(text, self.max_bytes)

    def head(self, text: str, most_bytes: int) -> str:
        """As much of the content's beginning as fits, with a word on what was cut."""
        length = fitting(text, most_bytes)
        if length == len(text):
            return text if self.mode == "full" else self.redactor.redact(text)
        kept = text[:length] if self.mode == "full" else self.redactor.redact_head(text, length)
        return f"{kept}… [cut: {len(text) - length} characters]"

    def scrub(self, text: str) -> str:
        """Text that is no content but may carry personal data or secrets.

        It is cut like content: a receiver that refuses a span for its size refuses all that are
        sent with it.
        """
        if self.mode == "full":
            return text
        if len(text) > self.max_bytes:
            return self.head(text, self.max_bytes)
        return self.redactor.redact(text)

    def scrub_id(self, text: str) -> str:
        """An id; different ids stay different."""
        return text if self.mode == "full" else self.redactor.redact_id(text)

    def error(self, text: str | None, error_type: object = None) -> str | None:
        """What an exception or a status says; at `off` only the type of it."""
        if not text or self.mode == "full":
            return text
        if self.mode == "redacted":
            return self.scrub(text)
        if isinstance(error_type, str) and error_type:
            return self.redactor.redact(error_type)
        named = _TYPE.fullmatch(text.partition(":")[0])
        looks_like_a_type = named and (":" in text or named[0].endswith(("Error", "Exception")))
        return named[0] if named and looks_like_a_type else None

    def described(self, error: BaseException) -> str:
        """What an exception says, cut to a length that a status may have; at `off` its type."""
        if self.mode == "off":
            return type(error).__qualname__
        text = str(error)
        if self.mode == "full":
            return text[:_LONGEST_MESSAGE]
        return self.redactor.redact_head(text, _LONGEST_MESSAGE)

    def attributes(self, given: Mapping[str, _Value]) -> Mapping[str, _Value]:
        """Attributes as they may leave; the same object if all of them may as they are."""
        if self.mode == "full" or not given:
            return given
        changed: dict[str, _Value] | None = None
        redact = self.redactor.redact
        harmless = self._known_harmless()
        for name, value in given.items():
            kind = type(value)
            known: _Known | None = None
            if kind is str or (kind is tuple and _TEXT.issuperset(map(type, value))):  # type: ignore[call-overload]
                known = (name, value)
            elif kind in _NUMBERS:
                known = name
            if known in harmless:
                continue
            kept, clean_name = self.attribute(name, value), redact(name)
            if kept is value and clean_name is name:
                if known is not None and (known is name or _is_short(value)):
                    harmless.add(known)
                continue
            if changed is None:
                changed = dict(given)
            del changed[name]
            if kept is not None:
                changed[clean_name] = kept
        return given if changed is None else changed

    def _known_harmless(self) -> set[_Known]:
        """Attributes that may leave: name and text or texts, or the name of a number.

        Most of what there is comes again and again.
        """
        if len(self._harmless) >= _REMEMBERED or self._harmless_in != self.mode:
            self._harmless, self._harmless_in = set(), self.mode
        return self._harmless

    def attribute(self, name: str, value: _Value) -> _Value | None:
        """One attribute's value as it may leave; None if it may not."""
        if value is None or type(value) in _NUMBERS:
            return value
        sort = sort_of(name)
        if sort is Sort.PLAIN:
            if isinstance(value, str):
                return self.scrub(value)  # type: ignore[return-value]
            return self._each(value, self.scrub)
        if sort is Sort.CONTENT:
            return None if self.mode == "off" else self._content_value(name, value)
        rule = _RULES[sort]
        return self._each(value, lambda text: rule(self, text))

    def _content_value(self, name: str, value: _Value) -> _Value | None:
        def fit(text: str) -> str:
            cut = cut_messages(name, text, self.max_bytes)
            return self.head(cut, self.max_bytes)

        return self._each(value, fit)

    def _each(self, value: _Value, rule: Callable[[str], str | None]) -> _Value | None:
        """The value with the rule applied to each text in it; the same object if none changes."""
        if isinstance(value, str):
            return rule(value)  # type: ignore[return-value]
        if isinstance(value, bytes):
            text = value.decode("utf-8", "replace")
            kept = rule(text)
            return value if kept is text else (kept or "").encode()  # type: ignore[return-value]
        if isinstance(value, Mapping):
            clean = self.attributes({str(key): item for key, item in value.items()})
            same = all(clean.get(key) is item for key, item in value.items())
            return value if same and len(clean) == len(value) else clean  # type: ignore[return-value]
        if isinstance(value, Sequence):
            items = [self._each(item, rule) for item in value]
            same = all(one is other for one, other in zip(items, value, strict=True))
            return value if same else items  # type: ignore[return-value]
        return value


def _is_short(value: object) -> bool:
    """Whether a text, or texts together, are worth to be remembered."""
    texts = value if isinstance(value, tuple) else (value,)
    return sum(map(len, texts)) + len(texts) <= _REMEMBERED_LENGTH + 1


def fitting(text: str, most_bytes: int) -> int:
    """How many characters of the text fit into so many bytes of UTF-8."""
    if len(text) * 4 <= most_bytes or (text.isascii() and len(text) <= most_bytes):
        return len(text)
    head = text[:most_bytes].encode("utf-8", "replace")[:most_bytes]
    return len(head.decode("utf-8", "ignore"))


def _error(policy: ContentPolicy, text: str) -> str | None:
    return policy.error(text)


def _stack(policy: ContentPolicy, text: str) -> str | None:
    if policy.mode == "off":
        return "\n".join(_FRAME.findall(text)) or None
    return policy.scrub(text)


def _url(policy: ContentPolicy, text: str) -> str:
    if policy.mode == "off":
        text = text.partition("#")[0].partition("?")[0]
    return policy.scrub(text)


def _sql(policy: ContentPolicy, text: str) -> str:
    return policy.scrub(_SQL_TEXT.sub("?", text) if policy.mode == "off" else text)


def _id(policy: ContentPolicy, text: str) -> str:
    return policy.scrub_id(text)


def _password(policy: ContentPolicy, text: str) -> str:
    return _PASSWORD_MARK if is_password(text, assigned=True) else policy.scrub(text)


def _secret(policy: ContentPolicy, text: str) -> str:
    return _SECRET_MARK if is_secret_value(text) else policy.scrub(text)


_RULES: Mapping[Sort, Callable[[ContentPolicy, str], str | None]] = {
    Sort.ERROR: _error,
    Sort.STACK: _stack,
    Sort.URL: _url,
    Sort.SQL: _sql,
    Sort.ID: _id,
    Sort.PASSWORD: _password,
    Sort.SECRET: _secret,
    Sort.HEADER: lambda _, __: _HEADER_MARK,
}
