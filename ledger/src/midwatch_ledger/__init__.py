"""The ledger: what LLM agents did, kept and answerable."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("midwatch-ledger")
__all__ = ["__version__"]
