"""The official GenAI instrumentations under the content policy.

They have a variable of their own for what they capture, and hooks that get the content itself, to
store it elsewhere. Both obey the policy: what they put on spans goes through the gate like all
else, what they hand to a hook is handed over as it may leave.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import wrapt

from midwatch.pipeline.content import ContentPolicy
from midwatch.pipeline.failures import FAILURES

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
HOOK = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"

_NOTHING = frozenset({"", "no_content", "false"})
_HOOKS = "opentelemetry.util.genai.completion_hook"

_logger = logging.getLogger("midwatch")


class _Active:
    """The policy in force; what is wrapped stays wrapped."""

    policy: ContentPolicy | None = None
    wrapped = False


def govern_official_capture(policy: ContentPolicy) -> None:
    """Make the official instrumentations capture what the policy lets leave, and no more."""
    _Active.policy = policy
    if policy.mode == "off":
        ignored = [
            name
            for name in (CAPTURE, HOOK)
            if os.environ.get(name, "").strip().lower() not in _NOTHING
        ]
        if ignored:
            _logger.warning(
                "midwatch: %s is ignored, because MIDWATCH_CONTENT is off", " and ".join(ignored)
            )
        os.environ[CAPTURE] = "no_content"
        os.environ.pop(HOOK, None)
    else:
        os.environ.setdefault(CAPTURE, "span_only")
    if not _Active.wrapped:
        _Active.wrapped = True
        wrapt.register_post_import_hook(_wrap_hooks, _HOOKS)


def _wrap_hooks(module: ModuleType) -> None:
    try:
        wrapt.wrap_function_wrapper(module, "_SafeCompletionHook.on_completion", _before_hook)
    except Exception as error:
        FAILURES.note("completion_hook", error)


def _before_hook(
    wrapped: Callable[..., None], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    policy = _Active.policy
    if policy is None or policy.mode == "full":
        wrapped(*args, **kwargs)
    elif policy.mode == "redacted":
        try:
            clean = {name: clean_copy(policy, value) for name, value in kwargs.items()}
        except Exception as error:
            FAILURES.note("completion_hook", error)
            return
        wrapped(*args, **clean)


def clean_copy(policy: ContentPolicy, value: Any) -> Any:
    """Messages with every text in them as it may leave."""
    if isinstance(value, str):
        return policy.scrub(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {
            one.name: clean_copy(policy, getattr(value, one.name))
            for one in dataclasses.fields(value)
            if one.init
        }
        return dataclasses.replace(value, **found)
    if isinstance(value, Mapping):
        return dict(policy.attributes({str(key): item for key, item in value.items()}))
    if isinstance(value, list | tuple):
        return [clean_copy(policy, item) for item in value]
    return value
