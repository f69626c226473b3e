"""The real programs start with the rendered arguments, and get ready by the rendered probes."""

from __future__ import annotations

import pytest
from pods import answers

pytestmark = pytest.mark.programs


def test_prometheus_starts_with_its_otlp_receiver_and_exemplars(start, everything):
    port = start("prometheus", everything)
    assert answers(port, "/api/v1/query_exemplars?query=up&start=0&end=1") == 200
    # Without the flag it would be 404; a GET is the wrong method, or an empty body the wrong one.
    assert answers(port, "/api/v1/otlp/v1/metrics") in {400, 405}


def test_alertmanager_starts_with_every_receiver(start, everything):
    port = start("alertmanager", everything)
    assert answers(port, "/api/v2/status") == 200
