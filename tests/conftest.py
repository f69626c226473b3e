"""What holds for every test, in the workspace and in the environments of the frameworks."""

from __future__ import annotations

import os

# On a loaded machine tracing is slow, and the shim would rightly begin to sample what a test looks
# for. The tests of sampling say for themselves what they want.
os.environ.setdefault("MIDWATCH_ADAPTIVE_SAMPLING", "false")
# The programs of the stack are written in Go. Those that run for a second (helm, promtool) take a
# fifth less CPU when their memory may grow further before it is collected.
os.environ.setdefault("GOGC", "400")
