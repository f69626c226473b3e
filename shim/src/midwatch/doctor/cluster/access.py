"""How a cluster is asked: by the official client, and through it the programs behind Services."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

_PROTOBUF = {"Content-Type": "application/x-protobuf", "Accept": "*/*"}
_WANTS_TLS = "http request to an https server"


class ClusterProblem(Exception):  # noqa: N818 - it is told as a finding
    """The cluster can't be asked; the text says why, `remedy` what to do."""

    def __init__(self, told: str, remedy: str) -> None:
        super().__init__(told)
        self.remedy = remedy


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace").strip()

    def json(self) -> Any:
        """The body parsed; None when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Web(Protocol):
    """A program that answers HTTP."""

    def get(self, path: str) -> Answer:
        """The answer to a path that begins with a slash."""
        ...

    def post_nothing(self, path: str) -> Answer:
        """The answer to an empty OTLP request."""
        ...


class Cluster:
    """The API of a cluster.

    Args:
        context: a context of the kubeconfig; empty for its current one, or the pod's account.
        timeout_seconds: how long to wait for each answer.

    Raises:
        ClusterProblem: the client is not installed, or no cluster is configured.
    """

    def __init__(self, context: str = "", timeout_seconds: float = 5.0) -> None:
        try:
            from kubernetes import client, config
        except ImportError:
            told = "the client of Kubernetes is not installed"
            raise ClusterProblem(told, "install midwatch[cluster]") from None
        configuration = client.Configuration()
        try:
            _configure(config, configuration, context)
        except (config.ConfigException, OSError) as error:
            told = f"no cluster is configured: {error}"
            remedy = "set KUBECONFIG and --context, or run it in a pod with a service account"
            raise ClusterProblem(told, remedy) from None
        configuration.retries = False
        self._client = client.ApiClient(configuration)
        self._timeout = timeout_seconds

    def ask(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        """The answer to a path of the API, whatever its status.

        Raises:
            ClusterProblem: there was none.
        """
        from urllib3.exceptions import HTTPError

        request = self._client.param_serialize(
            method,
            path,
            header_params=headers or {"Accept": "application/json"},
            body=b"" if method == "POST" else None,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=self._timeout)
            return Answer(answer.status, answer.response.data)
        except (HTTPError, OSError) as error:
            host = self._client.configuration.host
            remedy = "see whether it runs, and --context"
            raise ClusterProblem(f"{host} does not answer: {error}", remedy) from None

    def items(self, path: str) -> list[dict[str, Any]]:
        """The objects of a list; empty where the cluster has no such kind.

        Raises:
            ClusterProblem: they may not be read.
        """
        answer = self.ask(path)
        if answer.status == 404:
            return []
        told = answer.json()
        if answer.status != 200 or not isinstance(told, dict):
            said = told.get("message", "") if isinstance(told, dict) else answer.text[:200]
            raise ClusterProblem(
                f"{path} answered {answer.status}: {said}",
                "give who runs this the rights of docs/bring-your-own.md",
            )
        found: list[dict[str, Any]] = told.get("items") or []
        return found

    def service(self, namespace: str, name: str, port: int | str) -> Web:
        """A program behind a Service, as the API server reaches it."""
        return _Proxied(self, namespace, name, port)

    def at(self, url: str) -> Web:
        """A program by its URL; the name of a Service is asked through the API server."""
        parts = urlsplit(url)
        names = (parts.hostname or "").split(".")
        if len(names) > 2 and names[2] == "svc":
            port = parts.port or (443 if parts.scheme == "https" else 80)
            proxied = _Proxied(self, names[1], names[0], port, parts.path.rstrip("/"))
            proxied.scheme = "https:" if parts.scheme == "https" else ""
            return proxied
        return _Direct(url.rstrip("/"), self._timeout)


def _configure(config: Any, configuration: Any, context: str) -> None:
    """Take the kubeconfig, else the account of the pod that this runs in."""
    try:
        # Asked for now: the client has read the variable when it was imported.
        config.load_kube_config(
            os.environ.get("KUBECONFIG") or None, context or None, configuration
        )
    except config.ConfigException:
        if context or not os.environ.get("KUBERNETES_SERVICE_HOST"):
            raise
        config.load_incluster_config(client_configuration=configuration)


class _Proxied:
    def __init__(
        self, cluster: Cluster, namespace: str, name: str, port: int | str, prefix: str = ""
    ) -> None:
        self._cluster, self._prefix = cluster, prefix
        self._place, self._target = f"/api/v1/namespaces/{namespace}/services/", f"{name}:{port}"
        self.scheme = ""

    def get(self, path: str) -> Answer:
        return self._ask(path, "GET", {"Accept": "*/*"})

    def post_nothing(self, path: str) -> Answer:
        return self._ask(path, "POST", _PROTOBUF)

    def _ask(self, path: str, method: str, headers: dict[str, str]) -> Answer:
        answer = self._cluster.ask(self._path(path), method, headers)
        if not self.scheme and answer.status == 400 and _WANTS_TLS in answer.text.lower():
            self.scheme = "https:"
            return self._cluster.ask(self._path(path), method, headers)
        return answer

    def _path(self, path: str) -> str:
        return f"{self._place}{self.scheme}{self._target}/proxy{self._prefix}{path}"


class _Direct:
    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url, self._timeout = url, timeout_seconds

    def get(self, path: str) -> Answer:
        return self._ask(urllib.request.Request(self._url + path))  # noqa: S310

    def post_nothing(self, path: str) -> Answer:
        request = urllib.request.Request(self._url + path, b"", _PROTOBUF)  # noqa: S310
        return self._ask(request)

    def _ask(self, request: urllib.request.Request) -> Answer:
        try:
            context = ssl.create_default_context()
            with urllib.request.urlopen(  # noqa: S310 - the caller chose the address
                request, timeout=self._timeout, context=context
            ) as answer:
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())
        except OSError as error:
            told = f"{self._url} does not answer: {getattr(error, 'reason', error)}"
            raise ClusterProblem(told, "see whether it runs, and its address") from None
