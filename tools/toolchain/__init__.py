"""Finds or builds the pinned programs."""
