"""Detectors of resources that run in the thread which asks for them.

OpenTelemetry runs them in threads and waits for these without end. Where Midwatch starts in the
middle of an import, a detector that imports the same module would wait for it without end as well,
and the application would never begin.
"""

from __future__ import annotations

# The SDK asks detectors in threads again in the child of each fork, and its handler of forks has to
# come after the one that this import registers: else it waits for a lock that is held for ever.
import concurrent.futures.thread  # noqa: F401
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.sdk import resources
from opentelemetry.sdk.resources import Resource, ResourceDetector

_logger = logging.getLogger("midwatch")


@contextmanager
def detecting_in_this_thread() -> Iterator[None]:
    """Have OpenTelemetry's SDK ask its detectors one after the other during the block."""
    usual = resources.get_aggregated_resources
    resources.get_aggregated_resources = _one_after_the_other
    try:
        yield
    finally:
        resources.get_aggregated_resources = usual


def _one_after_the_other(
    detectors: Sequence[ResourceDetector],
    initial_resource: Resource | None = None,
    timeout: int = 5,
) -> Resource:
    merged = initial_resource or Resource.create()
    for detector in detectors:
        try:
            merged = merged.merge(detector.detect())
        except Exception as error:
            if detector.raise_on_error:
                raise
            _logger.warning("midwatch: a resource detector failed, and is left out: %s", error)
    return merged
