"""What the tests of the stack share."""

from __future__ import annotations

import pytest
from stack.ports import PortBook


@pytest.fixture
def free_port() -> int:
    return PortBook().port("test")
