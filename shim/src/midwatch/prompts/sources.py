"""Where prompts come from: the ledger where there is one, else the files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from midwatch.config import Settings
from midwatch.pipeline.failures import FAILURES
from midwatch.prompts.cache import LedgerCache
from midwatch.prompts.definitions import Definition
from midwatch.prompts.files import PromptFolder, folder_of, not_found
from midwatch.prompts.labels import Assignment, Variant
from midwatch.prompts.ledger import LedgerClient, LedgerPrompt, read_prompt, read_version


class PromptLibrary:
    """Finds prompts.

    The ledger, where there is one, says which version a label stands for; what it said last counts
    while it is down, and the files' `labels.yaml` where it has never said anything. A version is
    the same wherever it is, so its text is taken from where it is nearest.

    Args:
        folder: the folder of the files, if there is one.
        ledger: the ledger's answers, if there is one.
    """

    def __init__(self, folder: PromptFolder | None, ledger: LedgerCache | None = None) -> None:
        self.folder = folder
        self._ledger = ledger
        self._parsed: dict[str, tuple[object, LedgerPrompt]] = {}

    def version(self, name: str, version: str) -> Definition:
        """A version of a prompt.

        Raises:
            PromptNotFoundError: no source has it.
            PromptDefinitionError: a file is not well defined.
        """
        found = self._from_files(name, version)
        if found is None and self._ledger is not None:
            found = self._safely(self._from_ledger, name, version)
        if found is None:
            raise not_found(name, f" in version {version!r}", self.folder)
        return found

    def labelled(self, name: str, label: str, session_id: str) -> tuple[Definition, Variant]:
        """The version that a label stands for in a session, and the variant it is.

        Raises:
            PromptNotFoundError: no source has it.
            PromptDefinitionError: a file is not well defined.
        """
        known = self._known(name)
        assigned = known.labels.get(label) or self._assigned_by_files(name, label)
        if assigned is None:
            raise not_found(name, f" in label {label!r}", self.folder)
        variant = assigned.choose(session_id)
        return known.versions.get(variant.version) or self.version(name, variant.version), variant

    def _known(self, name: str) -> LedgerPrompt:
        if self._ledger is None:
            return LedgerPrompt()
        return self._safely(self._known_to_ledger, name) or LedgerPrompt()

    def _known_to_ledger(self, name: str) -> LedgerPrompt | None:
        answer = self._ledger.get(name) if self._ledger else None
        if answer is None:
            return None
        parsed = self._parsed.get(name)
        if parsed is None or parsed[0] is not answer:
            parsed = self._parsed[name] = (answer, read_prompt(name, answer))
        return parsed[1]

    def _from_ledger(self, name: str, version: str) -> Definition | None:
        answer = self._ledger.get(name, version) if self._ledger else None
        return None if answer is None else read_version(name, answer)

    def _from_files(self, name: str, version: str) -> Definition | None:
        return self.folder.definition(name, version) if self.folder else None

    def _assigned_by_files(self, name: str, label: str) -> Assignment | None:
        return self.folder.assigned(name, label) if self.folder else None

    def _safely(self, read: Callable[..., Any], *key: str) -> Any:
        """What the ledger has; a wrong answer of its is counted and as good as none."""
        try:
            return read(*key)
        except Exception as error:
            FAILURES.note("prompts.ledger", error)
            return None


def library_from(settings: Settings) -> PromptLibrary:
    """The library that the settings describe."""
    return PromptLibrary(folder_of(settings.prompts_dir), _ledger(settings))


def _ledger(settings: Settings) -> LedgerCache | None:
    if not settings.ledger_url:
        return None
    # Whose prompts are cached: another key may belong to another project.
    identity = hashlib.sha256(
        f"{settings.ledger_url}\0{settings.ledger_api_key}".encode()
    ).hexdigest()
    return LedgerCache(
        LedgerClient(settings.ledger_url, settings.ledger_api_key).fetch,
        settings.prompts_cache_dir,
        identity=identity,
        ttl_seconds=settings.prompts_ttl_seconds,
        patience_seconds=settings.prompts_timeout_seconds,
    )
