"""A multi-agent security assistant."""
