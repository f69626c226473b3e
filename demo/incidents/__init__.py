"""Faults that happen on command and stop again."""
