"""One version of a prompt, as a file or the ledger defines it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from midwatch.prompts.errors import PromptDefinitionError, PromptRenderError
from midwatch.prompts.template import PromptTemplate
from midwatch.prompts.variables import Variable, declared_variables

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
"""What names of prompts, versions, labels and variants look like."""
NAME_RULE = "letters, digits, '.', '_' and '-', at most 100, a letter or digit first"

ROLES = ("system", "developer", "user", "assistant", "tool")
KEYS = ("description", "type", "variables", "config", "template", "messages")


@dataclass(frozen=True)
class Message:
    """One message of a prompt."""

    role: str
    content: str


@dataclass(frozen=True)
class Definition:
    """One version of a prompt. A text prompt has one message, of the user.

    `config` is the prompt's own, for instance a model's name and temperature; Midwatch only
    hands it on. `source` says where the version is from: file or ledger.
    """

    name: str
    version: str
    type: str
    messages: tuple[Message, ...]
    variables: tuple[Variable, ...] = ()
    description: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    source: str = "file"

    def fill(self, given: Mapping[str, object]) -> tuple[Message, ...]:
        """The messages with the variables filled in.

        Raises:
            PromptRenderError: variables are missing, unknown or of the wrong type; it names all.
        """
        problems = self._problems(given)
        if problems:
            known = ", ".join(f"{one.name} ({one.wanted})" for one in self.variables) or "none"
            raise PromptRenderError(
                f"prompt {self.name} version {self.version} cannot be rendered; its variables are: "
                f"{known}",
                problems,
            )
        values = {one.name: one.text(given.get(one.name, one.default)) for one in self.variables}
        return tuple(
            Message(message.role, PromptTemplate(message.content).fill(values))
            for message in self.messages
        )

    def _problems(self, given: Mapping[str, object]) -> list[str]:
        declared = {one.name: one for one in self.variables}
        problems = [
            f"{one.name}: missing; give a value of type {one.wanted}"
            + (f" ({one.description})" if one.description else "")
            for one in self.variables
            if one.required and one.name not in given
        ]
        for name, value in given.items():
            if name not in declared:
                problems.append(f"{name}: unknown; leave it out or declare it in the prompt")
            elif problem := declared[name].problem(value):
                problems.append(problem)
        return problems


def define(name: str, version: str, data: object, *, source: str) -> Definition:
    """Read a definition.

    Raises:
        PromptDefinitionError: it is not as it has to be; names everything.
    """
    headline = f"prompt {name} version {version} ({source}) is not well defined"
    if not isinstance(data, Mapping):
        raise PromptDefinitionError(headline, ["needs a map with `template` or `messages`"])
    problems = [
        f"{what} {given!r}: needs {NAME_RULE}"
        for what, given in (("name", name), ("version", version))
        if not NAME.match(given)
    ]
    problems += [
        f"unknown key {key!r}; allowed are {', '.join(KEYS)}" for key in data if key not in KEYS
    ]
    variables, wrong = declared_variables(data.get("variables"))
    messages, kind, unreadable = _messages(data)
    problems += wrong + unreadable + _disagreements(messages, variables)
    config = data.get("config") or {}
    if not isinstance(config, Mapping):
        problems.append("config: needs a map")
    if problems:
        raise PromptDefinitionError(headline, problems)
    return Definition(
        name,
        version,
        kind,
        messages,
        variables,
        str(data.get("description") or ""),
        config,
        source,
    )


def _messages(data: Mapping[str, object]) -> tuple[tuple[Message, ...], str, list[str]]:
    kind = data.get("type", "chat" if "messages" in data else "text")
    if kind not in ("text", "chat"):
        return (), "text", [f"type {kind!r}: allowed are text, chat"]
    wanted, other = ("messages", "template") if kind == "chat" else ("template", "messages")
    if other in data:
        return (), str(kind), [f"a {kind} prompt has `{wanted}`, not `{other}`"]
    content = data.get(wanted)
    if kind == "text":
        if not isinstance(content, str) or not content.strip():
            return (), "text", ["template: needs a text that is not empty"]
        return (Message("user", content),), "text", []
    if not isinstance(content, list | tuple) or not content:
        return (), "chat", ["messages: needs a list of maps with `role` and `content`"]
    found = [_message(number, one) for number, one in enumerate(content, 1)]
    problems = [problem for problem in found if isinstance(problem, str)]
    return tuple(one for one in found if isinstance(one, Message)), "chat", problems


def _message(number: int, given: object) -> Message | str:
    where = f"messages[{number}]"
    if not isinstance(given, Mapping) or set(given) != {"role", "content"}:
        return f"{where}: needs exactly `role` and `content`"
    role, content = given["role"], given["content"]
    if role not in ROLES:
        return f"{where}: role {role!r}: allowed are {', '.join(ROLES)}"
    if not isinstance(content, str) or not content.strip():
        return f"{where}: content needs a text that is not empty"
    return Message(role, content)


def _disagreements(messages: tuple[Message, ...], variables: tuple[Variable, ...]) -> list[str]:
    problems: list[str] = []
    used: dict[str, None] = {}
    for number, message in enumerate(messages, 1):
        template = PromptTemplate(message.content)
        prefix = f"messages[{number}]: " if len(messages) > 1 else ""
        problems += [prefix + problem for problem in template.problems()]
        used.update(dict.fromkeys(template.get_identifiers()))
    declared = {variable.name for variable in variables}
    problems += [
        f"{{{{ {name} }}}} is not declared; add it under `variables`, such as `{name}: str`"
        for name in used
        if name not in declared
    ]
    if not messages:
        return problems
    problems += [
        f"variables.{name}: is never used; use {{{{ {name} }}}} or take it out"
        for name in sorted(declared - set(used))
    ]
    return problems
