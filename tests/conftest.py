"""What holds for every test, in the workspace and in the environments of the frameworks."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest

STACK = "tests/stack"

# Modules and tests are made once and stay; looking for garbage in them took a quarter of the
# collecting of tests.
gc.set_threshold(100_000, 50, 100)
# On a loaded machine tracing is slow, and the shim would rightly begin to sample what a test looks
# for. The tests of sampling say for themselves what they want.
os.environ.setdefault("MIDWATCH_ADAPTIVE_SAMPLING", "false")
# The programs of the stack are written in Go. Those that run for a second (helm, promtool) take a
# fifth less CPU when their memory may grow further before it is collected.
os.environ.setdefault("GOGC", "400")


@pytest.hookimpl(optionalhook=True)  # The environments of the frameworks have no xdist.
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Leave what shares programs to one worker: each file, and the folder of the running stack."""
    from xdist.scheduler import LoadFileScheduling

    class BySharedPrograms(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return STACK if nodeid.startswith(f"{STACK}/") else super()._split_scope(nodeid)

    return BySharedPrograms(config, log)


def pytest_collection_finish() -> None:
    """Leave what was collected out of any later look for garbage."""
    gc.collect()
    gc.freeze()
