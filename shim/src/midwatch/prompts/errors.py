"""What can go wrong with prompts. `PromptError` is the base of all."""

from __future__ import annotations

from collections.abc import Sequence


class PromptError(ValueError):
    """Something about a prompt is wrong; `problems` has a line for each thing."""

    def __init__(self, headline: str, problems: Sequence[str] = ()) -> None:
        super().__init__(
            headline + "".join(f"\n  {problem}" for problem in problems) if problems else headline
        )
        self.problems: tuple[str, ...] = tuple(problems) or (headline,)


class PromptNotFoundError(PromptError):
    """There is no such prompt, version or label."""


class PromptDefinitionError(PromptError):
    """A prompt or a label is not written as it has to be."""


class PromptRenderError(PromptError):
    """The variables that were given do not fit those that the prompt declares."""
