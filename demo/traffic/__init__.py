"""Believable conversations and simulation days, by seed."""
