"""Columns that are read from attributes, by what is there: most spans lack most names.

Spans of one kind have the same names, and a program makes few kinds. Which columns can be read, and
from which names, is found out once for each kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from midwatch_ledger.services import conventions as names
from midwatch_ledger.services import reading

Read = Callable[[Mapping[str, Any], Sequence[str]], Any]
_Found = tuple[tuple[str, Read, tuple[str, ...]], ...]
_KINDS = 512
_LONGEST_KIND = 128


class Columns:
    """How columns are read; each reader gives None where none of its names is there."""

    def __init__(self, readers: Mapping[str, tuple[Read, Sequence[str]]]) -> None:
        self._readers = readers
        self._empty: dict[str, Any] = dict.fromkeys(readers)
        self._remembered = lru_cache(maxsize=_KINDS)(self._of_kind)

    def read(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return all columns of the attributes, None where there is nothing to read."""
        row = self._empty.copy()
        # What has very many names is seldom of a kind, and would fill the memory.
        find = self._remembered if len(attributes) <= _LONGEST_KIND else self._of_kind
        for column, read, present in find(tuple(attributes)):
            row[column] = read(attributes, present)
        return row

    def _of_kind(self, kind: tuple[str, ...]) -> _Found:
        there = frozenset(kind)
        found = (
            (column, read, tuple(name for name in names if name in there))
            for column, (read, names) in self._readers.items()
        )
        return tuple((column, read, names) for column, read, names in found if names)


SPAN = Columns(
    {
        "operation": (reading.text, (names.OPERATION,)),
        "error_type": (reading.text, names.ERROR_TYPE),
        "entry_agent": (reading.text, names.ENTRY_AGENT),
        "agent": (reading.text, names.AGENT),
        "tool": (reading.text, names.TOOL),
        "provider": (reading.text, names.PROVIDER),
        "model": (reading.text, names.MODEL),
        "session_id": (reading.text, names.SESSION),
        "call_id": (reading.text, names.CALL_ID),
        "user_hash": (reading.text, names.USER_HASH),
        "project": (reading.text, names.PROJECT),
        "outcome": (reading.text, names.TURN_OUTCOME),
        "input_tokens": (reading.count, names.INPUT_TOKENS),
        "output_tokens": (reading.count, names.OUTPUT_TOKENS),
        "cost": (reading.amount, names.COST),
    }
)
_OF_BOTH: dict[str, tuple[Read, Sequence[str]]] = {
    "metadata": (reading.document, names.EXECUTION_METADATA),
    "status": (reading.text, names.EXECUTION_STATUS),
    "report_id": (reading.identifier, names.REPORT_ID),
    "completion_id": (reading.identifier, names.COMPLETION_ID),
}
EXECUTION = Columns(
    {
        **_OF_BOTH,
        "execution_id": (reading.text, names.EXECUTION_ID),
        "agent_type": (reading.text, (*names.AGENT, *names.WORKFLOW)),
        "execution_step": (reading.text, (*names.EXECUTION_STEP, names.OPERATION)),
        "action_type": (reading.text, (*names.ACTION_TYPE, *names.TOOL)),
        "input_data": (reading.document, names.INPUT_DATA),
        "output_data": (reading.document, names.OUTPUT_DATA),
        "widget_id": (reading.identifier, names.WIDGET_ID),
        "step_id": (reading.identifier, names.STEP_ID),
        "external_platform": (reading.text, names.EXTERNAL_PLATFORM),
        "external_user_id": (reading.text, names.EXTERNAL_USER_ID),
    }
)
LLM_CALL = Columns(
    {
        **_OF_BOTH,
        "prompt": (reading.text, names.PROMPT),
        "response": (reading.text, names.RESPONSE),
        "cache_read_tokens": (reading.count, names.CACHE_READ_TOKENS),
        "cache_write_tokens": (reading.count, names.CACHE_WRITE_TOKENS),
        "reasoning_tokens": (reading.count, names.REASONING_TOKENS),
        "input_cost": (reading.amount, names.INPUT_COST),
        "output_cost": (reading.amount, names.OUTPUT_COST),
        "price_table": (reading.text, names.PRICE_TABLE),
        "price_version": (reading.text, names.PRICE_VERSION),
        "price_effective_date": (reading.text, names.PRICE_EFFECTIVE_DATE),
        "is_streaming": (reading.first, names.STREAMING),
        "chunks_count": (reading.count, names.STREAM_CHUNKS),
        "time_to_first_token_ms": (reading.number, names.TIME_TO_FIRST_CHUNK),
        "prompt_name": (reading.text, names.PROMPT_NAME),
        "prompt_version": (reading.text, names.PROMPT_VERSION),
        "prompt_label": (reading.text, names.PROMPT_LABEL),
        "prompt_variant": (reading.text, names.PROMPT_VARIANT),
    }
)
