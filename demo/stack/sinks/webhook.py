"""What Slack's incoming webhooks accept and refuse, in Slack's own words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

MAX_ATTACHMENTS = 100
MAX_BLOCKS = 50
MAX_HEADER_TEXT = 150
MAX_SECTION_TEXT = 3000
MAX_FIELDS = 10
_BLOCK_TYPES = frozenset(
    {"actions", "context", "divider", "file", "header", "image", "input", "rich_text", "section"}
    | {"video", "markdown"}
)


@dataclass(frozen=True)
class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """Slack's answer to what it doesn't take: a status and a word."""

    status: int
    word: str


def read_payload(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the payload of a request: JSON, or JSON in the form field `payload`.

    Raises:
        Refusal: `invalid_payload` for anything else.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        text = body.decode("utf-8")
        if kind == "application/x-www-form-urlencoded":
            text = parse_qs(text, strict_parsing=True)["payload"][0]
        elif kind != "application/json":
            raise Refusal(400, "invalid_payload")
        payload = json.loads(text)
    except (ValueError, KeyError):
        raise Refusal(400, "invalid_payload") from None
    if not isinstance(payload, dict):
        raise Refusal(400, "invalid_payload")
    return payload


def check_payload(payload: Mapping[str, Any], channels: frozenset[str] | None) -> None:
    """Refuse what Slack refuses.

    Args:
        payload: as `read_payload` returns it.
        channels: the channels there are; None knows all.

    Raises:
        Refusal: with Slack's word for it.
    """
    attachments, blocks = payload.get("attachments"), payload.get("blocks")
    text = payload.get("text")
    if text is not None and not isinstance(text, str):
        raise Refusal(400, "invalid_payload")
    if attachments is not None:
        _check_attachments(attachments)
    if blocks is not None:
        _check_blocks(blocks)
    if not (text and text.strip()) and not attachments and not blocks:
        raise Refusal(400, "no_text")
    _check_channel(payload.get("channel"), channels)


def _check_channel(channel: object, channels: frozenset[str] | None) -> None:
    if channel is None:
        return
    if not isinstance(channel, str) or (channels is not None and channel not in channels):
        raise Refusal(404, "channel_not_found")


def _check_attachments(attachments: object) -> None:
    if not isinstance(attachments, list) or not all(isinstance(a, dict) for a in attachments):
        raise Refusal(400, "invalid_attachments")
    if len(attachments) > MAX_ATTACHMENTS:
        raise Refusal(400, "too_many_attachments")
    for attachment in attachments:
        if not any(attachment.get(key) for key in _VISIBLE):
            raise Refusal(400, "missing_text_or_fallback_or_attachments")
        if "blocks" in attachment:
            _check_blocks(attachment["blocks"])


_VISIBLE = ("text", "fallback", "title", "pretext", "fields", "blocks", "image_url", "actions")


def _check_blocks(blocks: object) -> None:
    if not isinstance(blocks, list):
        raise Refusal(400, "invalid_blocks_format")
    if len(blocks) > MAX_BLOCKS or not all(_is_block(block) for block in blocks):
        raise Refusal(400, "invalid_blocks")


def _is_block(block: object) -> bool:
    if not isinstance(block, dict) or block.get("type") not in _BLOCK_TYPES:
        return False
    if block["type"] == "header":
        return _is_text(block.get("text"), MAX_HEADER_TEXT, kinds=("plain_text",))
    if block["type"] == "section":
        fields = block.get("fields", [])
        if not isinstance(fields, list) or len(fields) > MAX_FIELDS:
            return False
        return bool(fields) or _is_text(block.get("text"), MAX_SECTION_TEXT)
    return True


def _is_text(
    value: object, longest: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
) -> bool:
    if not isinstance(value, dict) or value.get("type") not in kinds:
        return False
    text = value.get("text")
    return isinstance(text, str) and 0 < len(text) <= longest
