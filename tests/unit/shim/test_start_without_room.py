"""A process that starts where nothing can be written any more."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
import midwatch
from midwatch.config import load_settings
load_settings()
print("works")
"""


def test_a_full_disk_does_not_keep_the_application_from_starting():
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    assert ran.stdout == "works\n", ran.stderr
