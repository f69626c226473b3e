"""Managed prompts: versions in files, labels in the ledger, experiments by session.

    from midwatch import prompts

    greeting = prompts.get("greeting", session_id="s-1").render(customer="Ada")
    model.invoke(greeting.messages)

`docs/shim/prompts.md` tells how prompts are written.
"""

from __future__ import annotations

import threading

from midwatch.config import load_settings
from midwatch.instruments.turn_state import current_turn
from midwatch.prompts.errors import (
    PromptDefinitionError,
    PromptError,
    PromptNotFoundError,
    PromptRenderError,
)
from midwatch.prompts.library import PromptLibrary, library_from
from midwatch.prompts.managed import Prompt, PromptsInUse, RenderedPrompt

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
    return PromptsInUse(*prompts)


def library() -> PromptLibrary:
    """The prompts that the settings of this process name."""
    global _library
    with _lock:
        if _library is None:
            _library = library_from(load_settings())
        return _library
