"""The shim's own log lines under the content policy: an exception may quote what it choked on."""

from __future__ import annotations

import logging
import traceback

from midwatch.pipeline.content import ContentPolicy

_logger = logging.getLogger("midwatch")


class ContentLogFilter(logging.Filter):
    """Changes records of the shim's logger so that they may leave; drops none.

    At `off` an exception is named by its type and the places that it came through.
    """

    def __init__(self, policy: ContentPolicy) -> None:
        super().__init__()
        self._policy = policy

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record."""
        policy = self._policy
        if policy.mode == "full":
            return True
        error = record.exc_info[1] if record.exc_info else None
        said = record.getMessage()
        if policy.mode == "off":
            for one in (error, *(record.args if isinstance(record.args, tuple) else ())):
                said = _without_words_of(one, said)
        record.msg, record.args = policy.scrub(said), None
        if record.exc_info:
            record.exc_text = policy.scrub(self._described(error))
            record.exc_info = None
        return True

    def _described(self, error: BaseException | None) -> str:
        if error is None:
            return ""
        if self._policy.mode == "off":
            places = "".join(traceback.format_tb(error.__traceback__))
            return f"{places}{type(error).__qualname__}"
        return "".join(traceback.format_exception(error)).rstrip()


def govern_own_log_lines(policy: ContentPolicy) -> None:
    """Put the shim's log lines under this policy, and under no earlier one."""
    for present in list(_logger.filters):
        if isinstance(present, ContentLogFilter):
            _logger.removeFilter(present)
    _logger.addFilter(ContentLogFilter(policy))


def _without_words_of(error: object, message: str) -> str:
    """The message without what the exception says, which may be content."""
    if not isinstance(error, BaseException):
        return message
    words = str(error)
    return message.replace(words, type(error).__qualname__) if words else message
