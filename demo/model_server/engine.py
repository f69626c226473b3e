"""What one server remembers: faults, latencies, prompt cache, and what it has answered."""

from __future__ import annotations

import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from random import Random

from model_server.completion import Completion, complete
from model_server.faults import (
    ALL_FAULTS,
    Expensive,
    Renamed,
    RequestFaults,
    Uncounted,
    model_fault_board,
)
from model_server.latency import Latencies
from model_server.settings import Settings
from model_server.skills import ModelRequest, find_skill, registered_skills
from model_server.tokens import PromptCache

_REMEMBERED_REQUESTS = 50_000


@dataclass(frozen=True)
class Exchange:
    """One request on its way: who answers it, what hits it, and the random numbers it has."""

    request: ModelRequest
    skill: str
    faults: RequestFaults
    random: Random
    reply_random: Random


class Engine:
    """Answers requests, deterministically by seed, request, and how often it was seen before."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.skills = tuple(skill.name for skill in registered_skills())
        self.faults = model_fault_board(settings.models, self.skills)
        self.latencies = Latencies(settings.latency)
        self.answered: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self._cache = PromptCache()
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def open(self, request: ModelRequest) -> Exchange:
        """Find the skill and decide which faults hit."""
        skill = find_skill(request).name
        digest = hashlib.blake2b(repr(request).encode(), digest_size=16).digest()
        random = self._random(digest, self._occurrence(digest))
        faults = RequestFaults(self.faults, request.model, skill, random)
        request = replace(request, faults=faults.for_skills)
        return Exchange(request, skill, faults, random, self._random(digest, 0))

    def open_plain(self, model: str, content: str, only: Collection[str] = ALL_FAULTS) -> Exchange:
        """The same for requests that no skill answers: embeddings, the list of models."""
        request = ModelRequest(model=model, messages=())
        digest = hashlib.blake2b(f"{model}\0{content}".encode(), digest_size=16).digest()
        random = self._random(digest, self._occurrence(digest))
        faults = RequestFaults(self.faults, model, "", random, only)
        return Exchange(request, "", faults, random, random)

    def answer(self, exchange: Exchange, max_tokens: int | None) -> Completion:
        """Let the skill reply and count the tokens."""
        reply = find_skill(exchange.request).reply(exchange.request, exchange.reply_random)
        completion = complete(
            exchange.request,
            reply,
            cache=self._cache,
            random=exchange.random,
            created=int(time.time()),
            seed=self.settings.seed,
            max_tokens=max_tokens,
        )
        expensive = exchange.faults.get(Expensive)
        if expensive is not None:
            completion = replace(completion, usage=completion.usage.multiplied(expensive.factor))
        renamed = exchange.faults.get(Renamed)
        if renamed is not None:
            build = exchange.random.randrange(renamed.builds)
            name = renamed.name if renamed.builds == 1 else f"{renamed.name}-{build:05d}"
            completion = replace(completion, model=name)
        if exchange.faults.get(Uncounted) is not None:
            completion = replace(completion, counted=False)
        self.tokens["prompt"] += completion.usage.prompt_tokens
        self.tokens["completion"] += completion.usage.completion_tokens
        return completion

    def count(self, what: str, outcome: str) -> None:
        """Remember one answered request for the control state."""
        self.answered[f"{what} {outcome}"] += 1

    def state(self) -> dict[str, object]:
        """What the control state shows beside the faults."""
        return {
            "seed": self.settings.seed,
            "models": list(self.settings.models),
            "skills": list(self.skills),
            "latency": self.latencies.state(),
            "answered": dict(sorted(self.answered.items())),
            "tokens": dict(self.tokens),
        }

    def _random(self, digest: bytes, occurrence: int) -> Random:
        # Not for secrets: the same seed must give the same answers.
        return Random(f"{self.settings.seed}:{digest.hex()}:{occurrence}")  # noqa: S311

    def _occurrence(self, digest: bytes) -> int:
        count = self._seen.pop(digest, 0) + 1
        self._seen[digest] = count
        while len(self._seen) > _REMEMBERED_REQUESTS:
            self._seen.popitem(last=False)
        return count
