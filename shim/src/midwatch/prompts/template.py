"""Templates: text with `{{ name }}` in it, and nothing that runs.

It is the standard library's `string.Template` with other marks: single braces are ordinary text, so
JSON and code need no escaping (`{{` cannot occur in JSON). A value is put in as it is and never
read as a template. `{{{{` gives two braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Template

_PATTERN = r"""
    (?P<escaped>\{\{\{\{) |
    \{\{[ \t]*(?P<named>[A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\} |
    (?P<braced>(?!)) |
    (?P<invalid>\{\{)
"""


class PromptTemplate(Template):
    """A template with variables in double braces."""

    delimiter = "{{"
    pattern = _PATTERN  # type: ignore[assignment]
    # The base class would otherwise look for the case-insensitive letters that some locales have.
    flags = re.VERBOSE

    def problems(self) -> list[str]:
        """Every place that begins like a variable and is none."""
        return [
            f"line {self.template.count(chr(10), 0, found.start()) + 1}: "
            f"{self.template[found.start() : found.start() + 20]!r} is no variable; write "
            "{{ name }}, or {{{{ for two braces as such"
            for found in self.pattern.finditer(self.template)  # type: ignore[attr-defined]
            if found.group("invalid") is not None
        ]

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with its variables filled in."""
        return self.substitute(values)
