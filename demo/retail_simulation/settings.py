"""What the retail simulation reads from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

DEFAULT_MODEL = "gpt-4o-mini"
DEFAULT_BASE_URL = "https://api.openai.com/v1"


class SettingsError(ValueError):
    """The environment does not say what is needed; the message names everything that is wrong."""


@dataclass(frozen=True)
class Settings:
    """How to reach the model, and how the simulation begins."""

    base_url: str
    api_key: str = field(repr=False)
    model: str
    timeout_seconds: float
    seed: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            SettingsError: Something is missing or wrong; all problems are in one message.
        """
        problems: list[str] = []
        base_url = environment.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            problems.append(f"OPENAI_BASE_URL is {base_url!r}: give an http or https URL")
        api_key = environment.get("OPENAI_API_KEY", "")
        if not api_key:
            problems.append("OPENAI_API_KEY is not set: set it to the model provider's key")
        timeout = _number(environment, "RETAIL_SIMULATION_MODEL_TIMEOUT_SECONDS", "15", problems)
        if not 0 < timeout <= 300:
            problems.append(
                "RETAIL_SIMULATION_MODEL_TIMEOUT_SECONDS must be above 0 and at most 300"
            )
        seed = _number(environment, "RETAIL_SIMULATION_SEED", "1", problems)
        if seed != int(seed) or seed < 0:
            problems.append("RETAIL_SIMULATION_SEED must be a whole number of at least 0")
        if problems:
            raise SettingsError("; ".join(problems))
        model = environment.get("RETAIL_SIMULATION_MODEL") or DEFAULT_MODEL
        return cls(base_url, api_key, model, timeout, int(seed))


def _number(environment: Mapping[str, str], name: str, default: str, problems: list[str]) -> float:
    given = environment.get(name) or default
    try:
        return float(given)
    except ValueError:
        problems.append(f"{name} is {given!r}: give a number")
        return float(default)
