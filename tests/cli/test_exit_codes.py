"""The exit code and the hint tell the kind of a fault, whichever command meets it."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import clusters, photographs

from imgflow_steps.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

NOBODY = "http://127.0.0.1:1"
ASKING = [
    ("ls",),
    ("ls", "municipalities"),
    ("get", "mine"),
    ("watch", "mine"),
    ("report", "mine"),
    ("why", "a.jpg", "-m", "Demo"),
    ("tune", "mine"),
    ("diff", "mine", "yours"),
    ("verify", "mine"),
    ("fetch", "mine", "out"),
    ("export", "out", "-m", "Demo"),
    ("query", "select 1"),
    ("prune",),
    ("delete", "mine", "--yes"),
    ("stop", "mine"),
    ("retry", "mine"),
    ("submit", "-m", "Demo"),
    ("plan", "-m", "Demo"),
    ("ingest", "photos", "-m", "Demo"),
    ("doctor",),
    ("doctor", "mine"),
]


class Page(BaseHTTPRequestHandler):
    """A web page for whatever is asked."""

    def do_GET(self) -> None:
        """Any request."""
        body = b"<html><body>please log in</body></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self.do_GET
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("debug", ["", pytest.param("1", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_a_store_that_is_away_or_is_none_ends_every_command_with_5_and_a_hint(
    imgflow: Cli, page: str, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], debug: str
) -> None:
    photographs.folder(Path("photos"), 1)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    monkeypatch.setenv("IMGFLOW_DEBUG", debug)
    monkeypatch.setattr("imgflow_steps.store.s3.time.sleep", lambda _: None)
    for endpoint in (NOBODY, page):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        done = imgflow(*command, "--store", "s3://bucket")

        assert done.code == 5, (endpoint, done.err)
        assert "unexpected" not in done.err
        assert command[0] == "doctor" or done.err.rstrip("\n").rpartition("\n")[2].startswith("`imgflow")


@pytest.mark.parametrize("text", [None, "a: [b\n", "hello\n", "apiVersion: v1\nkind: Config\nclusters: 3\n", ""])
def test_without_a_kubeconfig_that_can_be_used_no_cluster_is_reached(
    imgflow: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    clusters.use(file, monkeypatch)

    for command in (("ls",), ("doctor",), ("submit", "-m", "Demo")):
        done = imgflow(*command, "--engine", "argo", "-o", "json")
        assert done.code == 5, done.err
        assert "set KUBECONFIG" in done.out
        assert command == ("doctor",) or done.json["error"]["hint"]


@pytest.mark.parametrize(
    "command",
    [
        ("get", "nothing"),
        ("ls", "--unknown"),
        ("submit",),
        ("submit", "-m", "Nowhere"),
        ("query", "select nothing"),
        ("query", "nonsense"),
        ("export", "out", "-m", "Nowhere"),
        ("ingest", "nowhere", "-m", "Demo"),
        ("lint", "nowhere.yaml"),
        ("steps", "nothing"),
        ("submit", "-m", "Demo", "--steps", "nothing"),
        ("submit", "-m", "Demo", "--set", "scale.width=wide"),
        ("logs", "nothing"),
        ("ls", "--store", "s3://B_"),
        ("ls", "--store", "sftp://host"),
        ("config", "--context", "nothing"),
        ("nothing",),
    ],
    ids=" ".join,
)
def test_no_error_is_without_a_hint(imgflow: Cli, demo: Store, command: tuple[str, ...]) -> None:
    told, document = imgflow(*command), imgflow(*command, "-ojson")

    assert told.code == document.code == 2
    assert len(told.err.strip().splitlines()) > 1
    assert document.json["error"]["hint"]


@pytest.mark.parametrize(
    ("script", "code", "mend"),
    [
        (None, 1, "IMGFLOW_DOCKER=podman"),
        ("echo Cannot connect to the Docker daemon >&2; exit 1", 5, "start Docker"),
        ('[ "$1" = version ] || { echo no such image >&2; exit 1; }', 1, "make containers"),
    ],
)
def test_what_mends_the_docker_engine_fits_the_cause(
    imgflow: Cli, demo: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, code: int, mend: str
) -> None:
    tool = tmp_path / "docker"
    if script:
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
    monkeypatch.setenv("IMGFLOW_DOCKER", str(tool))

    done = imgflow("doctor", "--engine", "docker", "-o", "json")

    [check] = [check for check in done.json["checks"] if check["name"] == "containers"]
    assert done.code == code
    assert mend in check["mend"]


@pytest.mark.parametrize("flags", [("--store", "other place"), ("--store=other place",)])
def test_the_command_of_a_hint_looks_where_the_one_that_failed_did(imgflow: Cli, flags: tuple[str, ...]) -> None:
    done = imgflow("get", "nothing", *flags)

    assert done.code == 2
    assert shlex.split(done.err.splitlines()[-1].split("`")[1]) == ["imgflow", *flags, "ls"]


def test_where_nothing_is_yet_the_next_commands_look_at_the_same_store(imgflow: Cli) -> None:
    done = imgflow("ls", "--store", "elsewhere")

    assert "next: imgflow --store elsewhere submit --municipality NAME --source DIR" in done.err
    assert "imgflow --store elsewhere config" in done.err
