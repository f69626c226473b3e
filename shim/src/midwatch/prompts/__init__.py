"""Managed prompts: versions in files, labels in the ledger, experiments by session.

    from midwatch import prompts

    greeting = prompts.get("greeting", session_id="s-1").render(customer="Ada")
    model.invoke(greeting.messages)

`docs/shim/prompts.md` tells how prompts are written. Importing the package is cheap: what it takes
is loaded when it is first used, since a ledger needs but the definitions.
"""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING

from midwatch.prompts.errors import (
    PromptDefinitionError,
    PromptError,
    PromptNotFoundError,
    PromptRenderError,
)

if TYPE_CHECKING:
    from midwatch.prompts.managed import Prompt, PromptsInUse, RenderedPrompt
    from midwatch.prompts.sources import PromptLibrary

__all__ = [
    "Prompt",
    "PromptDefinitionError",
    "PromptError",
    "PromptLibrary",
    "PromptNotFoundError",
    "PromptRenderError",
    "RenderedPrompt",
    "get",
    "library",
    "use",
]

_HOMES = {
    "Prompt": "midwatch.prompts.managed",
    "PromptLibrary": "midwatch.prompts.sources",
    "RenderedPrompt": "midwatch.prompts.managed",
}

_lock = threading.Lock()
_library: PromptLibrary | None = None


def get(
    name: str,
    version: str | int | None = None,
    *,
    label: str = "production",
    session_id: str = "",
) -> Prompt:
    """A prompt, in one version or in that which a label stands for.

    Where the label stands for an experiment the session decides on the variant, the same in every
    process. Without a `session_id` it is the session of the running turn, else the turn itself.

    Args:
        name: the prompt's name, which is its folder's.
        version: the version; then the label does not count.
        label: the label, such as `production`; `latest` is always the highest version.
        session_id: the session that the prompt is for.

    Raises:
        PromptNotFoundError: there is no such prompt, version or label; it names those there are.
        PromptDefinitionError: the prompt's file is not well defined; it names everything.
    """
    from midwatch.instruments.turn_state import current_turn
    from midwatch.prompts.managed import Prompt

    if version is not None:
        return Prompt(library().version(name, str(version)))
    turn = current_turn()
    session = session_id or (turn.session_id or turn.turn_id if turn else "")
    definition, variant = library().labelled(name, label, session)
    return Prompt(definition, label, variant.name)


def use(*prompts: Prompt | RenderedPrompt) -> PromptsInUse:
    """A with-block, or a decorator, whose model calls use these prompts.

    It is for prompts that are rendered elsewhere than the model is called, such as at start-up.
    """
    from midwatch.prompts.managed import PromptsInUse

    return PromptsInUse(*prompts)


def library() -> PromptLibrary:
    """The prompts that the settings of this process name."""
    from midwatch.config import load_settings
    from midwatch.prompts.sources import library_from

    global _library
    with _lock:
        if _library is None:
            _library = library_from(load_settings())
        return _library


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
