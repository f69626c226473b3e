"""What can go wrong with a cluster, told with its remedy."""

from __future__ import annotations


class ClusterUnavailable(Exception):  # noqa: N818 - reads as what it says
    """There is no cluster and none can be started here; the text says why and what to do."""
