"""Midwatch: telemetry for LLM agents."""
