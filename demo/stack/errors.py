"""What can keep the stack from running, told with its remedy.

StackError
├── ProgramMissingError       a program is on neither PATH nor in the workspace
├── PortTakenError            a port that the user fixed is in use
├── DirectoryUnusableError    the stack's directory can't be written
├── AlreadyRunningError       another stack runs in that directory
├── NotRunningError           no stack runs in that directory
├── RenderFailedError         helm refuses the chart or its values
└── TranslationFailedError    a rendered object has no local counterpart
"""

from __future__ import annotations

from collections.abc import Sequence


class StackError(Exception):
    """The stack can't do what was asked; the text says why and what to change."""


class ProgramMissingError(StackError):
    """A program that the stack needs can't be had."""


class PortTakenError(StackError):
    """A port that the user fixed is used by another program."""


class DirectoryUnusableError(StackError):
    """The stack's directory can't be created or written."""


class AlreadyRunningError(StackError):
    """Another stack runs in the same directory."""


class NotRunningError(StackError):
    """No stack runs in the directory that was named."""


class RenderFailedError(StackError):
    """Helm refuses to render a chart."""


class TranslationFailedError(StackError):
    """Rendered objects hold things that have no local counterpart; all of them are named.

    Attributes:
        problems: one sentence each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  {number}. {text}" for number, text in enumerate(problems, 1))
        super().__init__(f"the rendered objects can't be run as local processes:\n{lines}")
