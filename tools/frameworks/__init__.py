"""Runs the tests of each agent framework in a locked environment of its own."""
