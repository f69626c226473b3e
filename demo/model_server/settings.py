"""How a model server is set up."""

from __future__ import annotations

from dataclasses import dataclass, field

from model_server.latency import Latency

CHAT_MODELS = (
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4.1-nano",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano",
)
EMBEDDING_MODELS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
CONTEXT_TOKENS = 128_000


@dataclass(frozen=True)
class Settings:
    """What decides the server's answers."""

    seed: int = 7
    latency: Latency = field(default_factory=Latency)
    chat_models: tuple[str, ...] = CHAT_MODELS

    @property
    def models(self) -> tuple[str, ...]:
        """All models, chat first."""
        return (*self.chat_models, *EMBEDDING_MODELS)
