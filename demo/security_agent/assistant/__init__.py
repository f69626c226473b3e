"""The assistant: its graph, its tools, its gates, and the ways in."""
