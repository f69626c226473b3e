"""Which attributes hold content, and which hold text that may carry some: by their names alone."""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import lru_cache

from midwatch.registry import span_attributes as own
from midwatch.registry.attributes import CALL_ID, CONVERSATION_ID, SESSION_ID, TURN_ID
from midwatch.registry.content import CONTENT_FIELDS


class Sort(Enum):
    """What an attribute's text is to the content policy."""

    PLAIN = auto()
    """Names, codes, words of the application's own: personal data and secrets are redacted."""
    CONTENT = auto()
    """Prompts, answers, arguments, results, documents, comments."""
    ERROR = auto()
    """An exception's words, which often quote what it choked on."""
    STACK = auto()
    """A stack trace, which ends with an exception's words."""
    URL = auto()
    """A URL: its query may hold content."""
    SQL = auto()
    """A database statement: its literals may hold content."""
    ID = auto()
    """An id: two of them must stay different when they are redacted."""
    PASSWORD = auto()
    """The name says that the value is a password."""
    SECRET = auto()
    """The name says that the value may be a key or a token."""
    HEADER = auto()
    """The name says that the value lets its holder in, whatever it looks like."""


INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents"
RETRIEVAL_QUERY = "gen_ai.retrieval.query.text"

_CONTENT = frozenset(
    {
        INPUT_MESSAGES,
        OUTPUT_MESSAGES,
        SYSTEM_INSTRUCTIONS,
        TOOL_DEFINITIONS,
        TOOL_ARGUMENTS,
        TOOL_RESULT,
        RETRIEVAL_DOCUMENTS,
        RETRIEVAL_QUERY,
        own.INPUT.name,
        own.OUTPUT.name,
        *CONTENT_FIELDS,
        # Of the conventions, older ones of them, and other packages'.
        "gen_ai.completion",
        "gen_ai.evaluation.explanation",
        "gen_ai.prompt",
        "input.value",
        "output.value",
        "llm.prompts",
        "llm.completions",
        "tool.parameters",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "url.query",
        "url.fragment",
    }
)
_CONTENT_BEGINNINGS = (
    "db.query.parameter.",
    "db.statement.parameters",
    "gen_ai.completion.",
    "gen_ai.prompt.variable.",
    "http.request.body",
    "http.response.body",
    "llm.completions.",
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompts.",
    "messaging.message.body",
    "retrieval.documents.",
)
_NUMBERED = re.compile(r"gen_ai\.(?:prompt|completion)\.\d+\.")
_BY_NAME = {
    "exception.message": Sort.ERROR,
    "error.message": Sort.ERROR,
    "otel.status_description": Sort.ERROR,
    own.SPAN_STATUS_MESSAGE.name: Sort.ERROR,
    "exception.stacktrace": Sort.STACK,
    "url.full": Sort.URL,
    "http.url": Sort.URL,
    "http.target": Sort.URL,
    "db.query.text": Sort.SQL,
    "db.statement": Sort.SQL,
    SESSION_ID.name: Sort.ID,
    TURN_ID.name: Sort.ID,
    CALL_ID.name: Sort.ID,
    CONVERSATION_ID.name: Sort.ID,
    "user.id": Sort.ID,
    "enduser.id": Sort.ID,
    own.EXTERNAL_USER_ID.name: Sort.ID,
}
_HEADERS = re.compile(
    r"(?:^|\.)(?:authorization|proxy[-_]authorization|cookie|set[-_]cookie|x[-_]api[-_]key)$",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"passw|passphrase|(?:^|[._-])pwd$", re.IGNORECASE)
_SECRET = re.compile(
    r"secret|token|api[-_]?key|access[-_]?key|private[-_]?key|account[-_]?key|credential"
    r"|signature",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def sort_of(name: str) -> Sort:
    """What the attribute of this name holds."""
    known = _BY_NAME.get(name)
    if known is not None:
        return known
    if name in _CONTENT or name.startswith(_CONTENT_BEGINNINGS) or _NUMBERED.match(name):
        return Sort.CONTENT
    if _HEADERS.search(name):
        return Sort.HEADER
    if _PASSWORD.search(name):
        return Sort.PASSWORD
    return Sort.SECRET if _SECRET.search(name) else Sort.PLAIN
