"""A prompt as the application gets it, and what it renders to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from opentelemetry import context

from midwatch.api.scopes import Scope
from midwatch.instruments.prompt_uses import PromptUse, pinned, rendered
from midwatch.instruments.recorder import get_recorder
from midwatch.instruments.turns import quiet_detach
from midwatch.pipeline.failures import FAILURES
from midwatch.prompts.definitions import Definition, Message
from midwatch.prompts.labels import NO_VARIANT
from midwatch.prompts.variables import Variable


@dataclass(frozen=True)
class RenderedPrompt:
    """A prompt with its variables filled in, ready for a model.

    `str(...)` and `text` give its text; `messages` gives what chat clients take.
    """

    prompt: Prompt
    _messages: tuple[Message, ...]

    @property
    def text(self) -> str:
        """The text; that of a chat prompt is its messages' contents, a blank line between them."""
        return "\n\n".join(message.content for message in self._messages)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The messages as `{"role": ..., "content": ...}`; a text prompt is one of the user."""
        return [{"role": one.role, "content": one.content} for one in self._messages]

    @property
    def name(self) -> str:
        """The prompt's name."""
        return self.prompt.name

    @property
    def version(self) -> str:
        """The prompt's version."""
        return self.prompt.version

    @property
    def variant(self) -> str:
        """The arm of an experiment that chose the version, or `none`."""
        return self.prompt.variant

    def __str__(self) -> str:
        """The text."""
        return self.text


@dataclass(frozen=True)
class Prompt:
    """One version of a prompt, chosen by version or by label.

    `variant` is the arm of an experiment that chose it, `none` outside one; `label` is empty where
    a version was asked for.
    """

    definition: Definition
    label: str = ""
    variant: str = NO_VARIANT

    @property
    def name(self) -> str:
        """Its name."""
        return self.definition.name

    @property
    def version(self) -> str:
        """Its version."""
        return self.definition.version

    @property
    def type(self) -> str:
        """`text` or `chat`."""
        return self.definition.type

    @property
    def source(self) -> str:
        """Where it is from: `file` or `ledger`."""
        return self.definition.source

    @property
    def config(self) -> Mapping[str, Any]:
        """What its author put beside it, such as a model's name."""
        return self.definition.config

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables that it declares."""
        return self.definition.variables

    def render(self, /, **variables: object) -> RenderedPrompt:
        """Fill in the variables; the model calls that follow here are then known to use it.

        Raises:
            PromptRenderError: variables are missing, unknown or of the wrong type; it names all.
        """
        messages = self.definition.fill(variables)
        try:
            get_recorder().prompt_use(self.name, self.version, self.variant, by="hand")
            rendered(self._use())
        except Exception as error:
            FAILURES.note("prompts.render", error)
        return RenderedPrompt(self, messages)

    def _use(self) -> PromptUse:
        variant = "" if self.variant == NO_VARIANT else self.variant
        return PromptUse(self.name, self.version, variant, self.label)


class PromptsInUse(Scope):
    """A block, or each call of a decorated function, whose model calls use these prompts."""

    def __init__(self, *prompts: Prompt | RenderedPrompt) -> None:
        self._prompts = tuple(
            one.prompt if isinstance(one, RenderedPrompt) else one for one in prompts
        )

    def again(self) -> Self:
        """A fresh block with the same prompts."""
        return type(self)(*self._prompts)

    def begin(self) -> None:
        """Nothing happens before the block is in force."""

    def end(self, error: BaseException | None) -> None:
        """Nothing is left to do."""

    def enter(self) -> Callable[[], None]:
        """Put the prompts in force; those that are rendered within take their place."""
        token = context.attach(pinned(*(one._use() for one in self._prompts)))
        return lambda: quiet_detach(token)
