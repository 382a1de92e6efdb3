"""A Kubernetes API on loopback that knows what it is told, and a kubeconfig that leads to it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    import pytest


@dataclass
class Api:
    """Answers GET by path with a document, or with the status when it is a number; unknown paths with 404.

    Reviews of rights are answered as ``rules``, such as those of a Role; what was sent is in ``sent``.
    """

    kubeconfig: Path
    answers: dict[str, dict[str, Any] | int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    sent: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # method, path, body

    def chart(self, namespace: str, store: dict[str, str], secret: dict[str, str]) -> None:
        """A namespace that has the chart."""
        encoded = {name: base64.b64encode(value.encode()).decode() for name, value in secret.items()}
        self.answers[config_map(namespace)] = {"kind": "ConfigMap", "apiVersion": "v1", "data": store}
        self.answers[secret_of(namespace)] = {"kind": "Secret", "apiVersion": "v1", "data": encoded}

    def may(self, asked: dict[str, Any]) -> bool:
        """Whether the rules grant what a review asks for. Objects that a rule names are those it is about."""
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        return any(
            asked.get("group", "") in rule["apiGroups"]
            and resource in rule["resources"]
            and asked["verb"] in rule["verbs"]
            and ("resourceNames" not in rule or asked.get("name") in rule["resourceNames"])
            for rule in self.rules
        )


def config_map(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/imgflow-store"


def secret_of(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/imgflow-s3"


def use(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a kubeconfig the user's own."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))


@contextmanager
def api(folder: Path) -> Iterator[Api]:
    """Serves while in use; afterwards nothing listens there."""
    known = Api(folder / "kubeconfig")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked.append(self.path)
            self.answer(known.answers.get(self.path, 404))

        def do_POST(self) -> None:
            body = self.body()
            if "subjectaccessreviews" in self.path:
                allowed = known.may(body["spec"]["resourceAttributes"])
                self.answer({**body, "status": {"allowed": allowed}} if self.path.count("self") else 403)
            else:
                known.sent.append(("POST", self.path, body))
                there = f"{self.path}/{body['metadata']['name']}" in known.answers
                self.answer(409 if there else body)

        def do_PATCH(self) -> None:
            known.sent.append(("PATCH", self.path, self.body()))
            self.answer(known.answers.get(self.path, 404))

        def do_PUT(self) -> None:
            known.sent.append(("PUT", self.path, body := self.body()))
            self.answer(body)

        def do_DELETE(self) -> None:
            body = self.body() if self.headers["Content-Length"] else {}
            known.sent.append(("DELETE", self.path, body))
            known.answers.pop(self.path, None)
            self.answer({})

        def body(self) -> dict[str, Any]:
            found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            return found

        def answer(self, answer: dict[str, Any] | int) -> None:
            status = answer if isinstance(answer, int) else 200
            refused = {"kind": "Status", "code": status, "message": "no such luck"}
            body = json.dumps(refused if isinstance(answer, int) else answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known.kubeconfig.write_text(_kubeconfig(server.server_port))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield known
        server.shutdown()


def _kubeconfig(port: int) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "here",
    }
    return yaml.safe_dump(document)
