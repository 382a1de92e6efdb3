"""A store inside the cluster, reached from outside: a local port whose connections end in the store's pod."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakSet

from websocket import WebSocketException

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import StoreError, UnavailableError
from imgflow_workflows.kube.client import TIMEOUT, connect, translated

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

CHUNK = 1 << 16
PORTS = {"http": 80, "https": 443}
IN_POD = "KUBERNETES_SERVICE_HOST"  # a variable that every pod has
NEAR = 2.0  # seconds for a connection inside a cluster


@contextmanager
def reachable(endpoint: str, *, kube_context: str = "") -> Iterator[str]:
    """The endpoint; or, when it is a Service inside the cluster, one of this machine that leads there while in use.

    A pod asks the Service itself, where it reaches it. Raises BadParametersError for https inside the cluster,
    UnavailableError when the Service has no ready pod.
    """
    service = _service(endpoint)
    if service is None or _is_near(endpoint):
        yield endpoint
        return
    url = urlsplit(endpoint)
    if url.scheme == "https":
        raise BadParametersError(f"{endpoint} is inside the cluster, and its certificate is not for this machine")
    api = connect(kube_context)
    with _Forward(api, *service) as forward:
        _pod_of(api, *service)  # fails here and not in a thread
        threading.Thread(target=forward.serve_forever, daemon=True).start()
        try:
            yield urlunsplit(url._replace(netloc=f"127.0.0.1:{forward.server_address[1]}"))
        finally:
            forward.shutdown()


def _service(endpoint: str) -> tuple[str, str, int] | None:
    """Name, namespace and port of the Service behind ``http://name.namespace.svc[.cluster.local][:port]``."""
    url = urlsplit(endpoint)
    parts = (url.hostname or "").removesuffix(".cluster.local").split(".")
    if len(parts) != 3 or parts[2] != "svc":  # noqa: PLR2004 - name, namespace, svc
        return None
    return parts[0], parts[1], url.port or PORTS.get(url.scheme, 80)


def _is_near(endpoint: str) -> bool:
    """Whether this is a pod that reaches the endpoint by itself; its kubeconfig may be that of another cluster."""
    url = urlsplit(endpoint)
    if not os.environ.get(IN_POD):
        return False
    with suppress(OSError), socket.create_connection((url.hostname, url.port or PORTS.get(url.scheme, 80)), NEAR):
        return True
    return False


def _pod_of(api: ApiClient, name: str, namespace: str, port: int) -> tuple[str, int]:
    """A ready pod of the Service, and its port behind the Service's port."""
    from kubernetes import client  # noqa: PLC0415 - half a second, for this engine only

    core: Any = client.CoreV1Api(api)  # every field of their models may be None
    discovery: Any = client.DiscoveryV1Api(api)
    with translated(f"finding the pods of Service {namespace}/{name}"):
        service = core.read_namespaced_service(name, namespace, _request_timeout=TIMEOUT)
        slices = discovery.list_namespaced_endpoint_slice(
            namespace, label_selector=f"kubernetes.io/service-name={name}", _request_timeout=TIMEOUT
        )
    named = next((p.name for p in service.spec.ports if p.port == port), None)
    for part in slices.items:
        target = next((p.port for p in part.ports or [] if (p.name or None) == (named or None)), None)
        for one in part.endpoints or []:
            if target and one.conditions.ready and one.target_ref and one.target_ref.kind == "Pod":
                return one.target_ref.name, target
    raise UnavailableError(
        f"Service {namespace}/{name} has no ready pod behind port {port}; `kubectl get pods -n {namespace}` shows why"
    )


class _Forward(ThreadingTCPServer):
    """Listens on this machine only; every connection gets a tunnel of its own."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, api: ApiClient, name: str, namespace: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self._api, self._service, self._namespace = api, (name, namespace, port), namespace
        self._tunnels: WeakSet[Any] = WeakSet()

    def server_close(self) -> None:
        """End the tunnels, too: a store's client keeps its connections open."""
        super().server_close()
        for tunnel in list(self._tunnels):
            tunnel.abort()

    def tunnel(self) -> Any:
        """A websocket to a pod of the Service, whichever is ready now."""
        # Not the client's own portforward(): it takes a minute for 64 MB, and keeps all of them in memory.
        from kubernetes.stream import ws_client  # noqa: PLC0415

        streams: Any = ws_client
        pod, port = _pod_of(self._api, *self._service)
        configuration = self._api.configuration
        path = f"/api/v1/namespaces/{self._namespace}/pods/{pod}/portforward?ports={port}"
        headers = {"sec-websocket-protocol": "v4.channel.k8s.io"}
        headers |= {one["key"]: one["value"] for one in configuration.auth_settings().values()}
        url = streams.get_websocket_url(configuration.host + path)
        websocket = streams.create_websocket(configuration, url, headers)
        self._tunnels.add(websocket)
        return websocket


class _Connection(BaseRequestHandler):
    """Carries bytes both ways until either side ends. A message's first byte is its channel: 0 data, 1 errors."""

    server: _Forward

    def handle(self) -> None:
        """One connection. When its tunnel fails it just closes; the store's client tries again or says so."""
        near: socket.socket = self.request
        with suppress(StoreError, WebSocketException, OSError):
            far = self.server.tunnel()
            try:
                _receive(near, far)
            finally:
                far.shutdown()  # and not close(), which leaves the socket open when the other side closed first
                near.shutdown(socket.SHUT_RD)  # wakes the thread that sends


def _receive(near: socket.socket, far: Any) -> None:
    for _ in range(2):  # each channel begins with the port's number
        far.recv()
    threading.Thread(target=_send, args=(near, far), daemon=True).start()
    while True:
        _, message = far.recv_data()
        if not message or message[0] != 0:
            return
        near.sendall(memoryview(message)[1:])


def _send(near: socket.socket, far: Any) -> None:
    with suppress(WebSocketException, OSError):
        while data := near.recv(CHUNK):
            far.send_binary(b"\0" + data)
    far.abort()  # wakes the thread that receives, which closes
