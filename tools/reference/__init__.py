"""Derives `docs/reference` from the registry of signals and the declared settings."""
