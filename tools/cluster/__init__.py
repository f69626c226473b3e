"""A real Kubernetes of one node without Docker, and images for it, for tests and the kind scripts.

`Node` is etcd, API server, controllers, scheduler, kubelet, proxy, containerd and CoreDNS in Linux
namespaces of their own: started in seconds, gone without a trace. It needs Linux and root.
"""

from __future__ import annotations

from cluster.errors import ClusterUnavailable
from cluster.node import Node

__all__ = ["ClusterUnavailable", "Node"]
