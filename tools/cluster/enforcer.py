"""`python -m cluster.enforcer`: keeps a node's NetworkPolicies, as a plugin of the network would.

It runs inside the node with KUBECONFIG and PODS, the network of all pods, until it is killed.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config, watch

from cluster.network_policies import Object, table

# Objects come in crowds; one table for all of a crowd is enough.
_GATHERING_SECONDS = 0.05
_WATCH_SECONDS = 300
_PAUSE_SECONDS = 1.0
_log = logging.getLogger("enforcer")


@dataclass
class Known:
    """What is known of a cluster, by kind and by name. Threads may share it."""

    pod_range: str
    _objects: dict[str, dict[tuple[str, str], Object]] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _version: int = 0

    def replace(self, kind: str, objects: Iterable[Object]) -> None:
        """Take a whole list."""
        with self._changed:
            self._objects[kind] = {_name(each): each for each in objects}
            self._tell()

    def apply(self, kind: str, what: str, changed: Object) -> None:
        """Take one change: ADDED, MODIFIED or DELETED; others change nothing."""
        with self._changed:
            if what == "DELETED":
                self._objects[kind].pop(_name(changed), None)
            elif what in ("ADDED", "MODIFIED"):
                self._objects[kind][_name(changed)] = changed
            self._tell()

    def table(self, after: int) -> tuple[int, str]:
        """Return the table of what is known, and its version, once that is another than `after`."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._version != after and len(self._objects) == len(_CALLS)
            )
            pods, namespaces, policies = (list(self._objects[kind].values()) for kind in _CALLS)
            return self._version, table(pods, namespaces, policies, self.pod_range)

    def _tell(self) -> None:
        self._version += 1
        self._changed.notify_all()


_CALLS: dict[str, Callable[[], Callable[..., Any]]] = {
    "pods": lambda: client.CoreV1Api().list_pod_for_all_namespaces,
    "namespaces": lambda: client.CoreV1Api().list_namespace,
    "policies": lambda: client.NetworkingV1Api().list_network_policy_for_all_namespaces,
}


def main() -> None:
    """Keep the policies for as long as the node runs."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # The client writes the key into files, which it takes away at an orderly end only.
    keys = Path(os.environ["KUBECONFIG"]).with_name("enforcer-keys")
    shutil.rmtree(keys, ignore_errors=True)
    config.load_kube_config(temp_file_path=str(keys))  # type: ignore[no-untyped-call]
    known = Known(os.environ["PODS"])
    for kind in _CALLS:
        threading.Thread(target=_follow, args=(kind, known), daemon=True).start()
    version, former = 0, ""
    while True:
        version, text = known.table(version)
        if text != former:
            subprocess.run(["nft", "--file", "-"], input=text, text=True, check=True)
            _log.info("kept: %d chains", text.count("chain ") - 1)
            former = text
        time.sleep(_GATHERING_SECONDS)


def _follow(kind: str, known: Known) -> None:
    """List, then watch; the API may end a watch or forget its beginning at any time."""
    call = _CALLS[kind]()
    while True:
        try:
            listed = json.loads(call(_preload_content=False).data)
            known.replace(kind, listed["items"])
            begin = listed["metadata"]["resourceVersion"]
            changes = watch.Watch().stream(  # type: ignore[no-untyped-call]
                # Without the docstring of the call, which names a type, no models are made.
                lambda **options: call(**options),
                resource_version=begin,
                timeout_seconds=_WATCH_SECONDS,
            )
            for event in changes:
                known.apply(kind, event["type"], event["raw_object"])
        except (client.ApiException, urllib3.exceptions.HTTPError) as problem:
            _log.warning("%s are not told: %s", kind, problem)
            time.sleep(_PAUSE_SECONDS)


def _name(given: Object) -> tuple[str, str]:
    metadata = given["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


if __name__ == "__main__":
    main()
