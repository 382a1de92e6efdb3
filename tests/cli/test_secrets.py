"""A canary for every way in which a secret gets in: it comes out nowhere, whatever goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imgflow_steps.store import Store
from imgflow_workflows.engines.local import LocalEngine

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

KEY = "c4n4ry/of+the=store"
TOKEN = "c4n4ry0first\nc4n4ry0second"
KEYS = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": KEY}
NOBODY = "http://127.0.0.1:1"
HOOK = "https://127.0.0.1:1/services/c4n4ry-c4n4ry"
WITH_USER = f"http://me:{KEY}@127.0.0.1:1"
PROFILE = {
    "AWS_PROFILE": "city",
    "AWS_SHARED_CREDENTIALS_FILE": "profile",
    "PROFILE": f"[city]\naws_access_key_id=somebody\naws_secret_access_key={KEY}\n",
}
ASSUMED = (
    f"[base]\naws_access_key_id=somebody\naws_secret_access_key={KEY}\n[city]\nrole_arn=arn:role\nsource_profile=base\n"
)
ROLE = {**PROFILE, "PROFILE": ASSUMED}
HALF, LINES = f"[city]\naws_secret_access_key={KEY}\n", f"[city]\naws_secret_access_key=a\n{KEY}\n"
PROGRAM, PLACE = f"[city]\ncredential_process=sh -c 'false {KEY}'\n", f"[city]\nendpoint_url={WITH_USER}\n"
POD = {"AWS_ROLE_ARN": "arn:role", "AWS_WEB_IDENTITY_TOKEN_FILE": "profile", "PROFILE": KEY}
SOURCE = {"IMGFLOW_SOURCE_AWS_ACCESS_KEY_ID": "somebody", "IMGFLOW_SOURCE_AWS_SECRET_ACCESS_KEY": KEY}
FAR = {"AWS_ENDPOINT_URL": "http://store.example"}
BUCKET = ("--store", "s3://bucket")
INGEST = ("ingest", "table.csv", "-m", "New", "--path", "url")
ELSEWHERE = ("--source", "s3://bucket/a")
PLAN = ("plan", "-m", "Demo", *ELSEWHERE)
SUBMIT = ("submit", "-m", "Demo")


class Echo(BaseHTTPRequestHandler):
    """A store that refuses, and says with what it was asked."""

    def do_GET(self) -> None:
        """Any request."""
        body = (
            f"<Error><Code>AccessDenied</Code><Message>{KEY} {dict(self.headers)}</Message>"
            f"<Resource>s3://me:{KEY}@bucket</Resource></Error>"
        ).encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Any other request."""
        if name.startswith("do_"):
            return self.do_GET
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


WAYS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "a token over two lines": ({**KEYS, "AWS_SESSION_TOKEN": TOKEN, "AWS_ENDPOINT_URL": NOBODY}, ("ls", *BUCKET)),
    "a key over two lines": ({**KEYS, "AWS_SECRET_ACCESS_KEY": TOKEN, "AWS_ENDPOINT_URL": NOBODY}, ("ls", *BUCKET)),
    "half of the credentials": ({"AWS_SECRET_ACCESS_KEY": KEY, "AWS_ENDPOINT_URL": NOBODY}, ("ls", *BUCKET)),
    "a server that is away": ({**KEYS, "AWS_ENDPOINT_URL": NOBODY}, ("ls", *BUCKET)),
    "a server that is away, doctor": ({**KEYS, "AWS_ENDPOINT_URL": NOBODY}, ("doctor", *BUCKET)),
    "a server that refuses": ({**KEYS, "AWS_ENDPOINT_URL": "ECHO"}, ("ls", *BUCKET)),
    "a server that refuses, doctor": ({**KEYS, "AWS_ENDPOINT_URL": "ECHO"}, ("doctor", *BUCKET)),
    "a server that refuses, submit": ({**KEYS, "AWS_ENDPOINT_URL": "ECHO"}, (*SUBMIT, "--source", "s3://bucket/a")),
    "a password in the endpoint": ({**KEYS, "AWS_ENDPOINT_URL": WITH_USER}, ("ls", *BUCKET)),
    "a password in the endpoint, doctor": ({**KEYS, "IMGFLOW_S3_ENDPOINT": WITH_USER}, ("doctor", *BUCKET)),
    "a password in the endpoint, config": ({"IMGFLOW_S3_ENDPOINT": WITH_USER}, ("config",)),
    "a password in the file, config": ({"FILE": f"endpoint: {WITH_USER}\n"}, ("config",)),
    "a password in a file that is no YAML": ({"FILE": f'endpoint: "{WITH_USER}\n'}, ("config",)),
    "a password in a setting that is not known": ({"FILE": f"{WITH_USER}: 1\n"}, ("config",)),
    "a password where a number belongs": ({"IMGFLOW_WORKERS": WITH_USER}, ("config",)),
    "keys in the store's address": ({}, ("ls", "--store", f"s3://me:{KEY}@bucket")),
    "keys in the store's address, of a variable": ({"IMGFLOW_STORE": f"s3://me:{KEY}@bucket"}, ("ls",)),
    "keys in the store's address, config": ({"IMGFLOW_STORE": f"s3://me:{KEY}@bucket"}, ("config",)),
    "keys in the store's address, doctor": ({"IMGFLOW_STORE": f"s3://me:{KEY}@bucket"}, ("doctor",)),
    "keys in a directory's address": ({}, ("ls", "--store", f"file://me:{KEY}@host")),
    "keys in an unknown address": ({}, ("ls", "--store", f"sftp://me:{KEY}@host/dir")),
    "keys in the source": ({}, (*SUBMIT, "--source", f"s3://me:{KEY}@bucket")),
    "keys in a source that is a directory": ({}, (*SUBMIT, "--source", f"file://me:{KEY}@host")),
    "keys in the source, plan": ({}, ("plan", "-m", "Demo", "--source", f"s3://me:{KEY}@bucket")),
    "keys in the source, ingest": ({}, ("ingest", f"https://me:{KEY}@host/a.zip", "-m", "New")),
    "keys in a table, ingest": ({"TABLE": f"id,url\n1,https://me:{KEY}@a.b/a.jpg\n"}, (*INGEST, "--allow-host", "a.b")),
    "keys in the destination": ({}, ("export", f"s3://me:{KEY}@bucket", "-m", "Demo")),
    "keys in a flag that is not known": ({}, ("ls", f"--stroe=s3://me:{KEY}@bucket")),
    "keys in a value that cannot be": ({}, (*SUBMIT, "--set", f"scale.width=s3://me:{KEY}@bucket")),
    "a webhook that is away": ({"IMGFLOW_NOTIFY_URL": HOOK, "IMGFLOW_NOTIFY_SECRET": KEY}, SUBMIT),
    "a webhook that is none": ({"IMGFLOW_NOTIFY_URL": f"ftp://{KEY}"}, SUBMIT),
    "a webhook in a flag": ({}, (*SUBMIT, "--notify", HOOK)),
    "a webhook in a flag that is mistyped": ({}, (*SUBMIT, "--notifi", HOOK)),
    "a profile that the server refuses": ({**PROFILE, "AWS_ENDPOINT_URL": "ECHO"}, ("ls", *BUCKET)),
    "a profile that the server refuses, doctor": ({**PROFILE, "AWS_ENDPOINT_URL": "ECHO"}, ("doctor", *BUCKET)),
    "a profile with half of the credentials": ({**PROFILE, "PROFILE": HALF}, ("ls", *BUCKET)),
    "a profile over two lines": ({**PROFILE, "PROFILE": LINES}, ("ls", *BUCKET)),
    "a profile before any section": ({**PROFILE, "PROFILE": f"aws_secret_access_key={KEY}\n"}, ("ls", *BUCKET)),
    "a password in the endpoint of a profile": ({**PROFILE, "PROFILE": PLACE}, ("ls", *BUCKET)),
    "a role that is refused": ({**ROLE, "AWS_ENDPOINT_URL": "ECHO"}, ("ls", *BUCKET)),
    "a role that is refused, doctor": ({**ROLE, "AWS_ENDPOINT_URL": "ECHO"}, ("doctor", *BUCKET)),
    "a program that fails": ({**PROFILE, "PROFILE": PROGRAM}, ("ls", *BUCKET)),
    "a token that is refused": ({**POD, "AWS_ENDPOINT_URL": "ECHO"}, ("ls", *BUCKET)),
    "a token that is refused, doctor": ({**POD, "AWS_ENDPOINT_URL": "ECHO"}, ("doctor", *BUCKET)),
    "a token service that is away": ({**POD, "AWS_ENDPOINT_URL": NOBODY}, ("ls", *BUCKET)),
    "keys of a source that is refused": ({**SOURCE, "IMGFLOW_SOURCE_S3_ENDPOINT": "ECHO"}, (*SUBMIT, *ELSEWHERE)),
    "keys of a source that is away": ({**SOURCE, "IMGFLOW_SOURCE_S3_ENDPOINT": NOBODY}, PLAN),
    "a password of a proxy that is away": ({**KEYS, **FAR, "HTTP_PROXY": WITH_USER}, ("ls", *BUCKET)),
    "a password of a proxy that is away, doctor": ({**KEYS, **FAR, "HTTP_PROXY": WITH_USER}, ("doctor", *BUCKET)),
    "a password of a proxy that cannot be": ({**KEYS, **FAR, "HTTP_PROXY": f"socks5://me:{KEY}@host"}, ("ls", *BUCKET)),
    "what nobody thought of": ({**KEYS, "BREAK": "1"}, SUBMIT),
}  # fmt: skip


@pytest.mark.parametrize("debug", ["", "1"])
@pytest.mark.parametrize("form", ["", "json"])
@pytest.mark.parametrize("way", list(WAYS))
def test_a_secret_comes_out_nowhere(
    imgflow: Cli, demo: Store, echo: str, monkeypatch: pytest.MonkeyPatch, way: str, form: str, debug: str
) -> None:
    variables, command = WAYS[way]
    for name, value in {**variables, "IMGFLOW_DEBUG": debug}.items():
        monkeypatch.setenv(name, value.replace("ECHO", echo))
    Path("imgflow.yaml").write_text(variables.get("FILE", ""))
    Path("profile").write_text(variables.get("PROFILE", ""))
    Path("table.csv").write_text(variables.get("TABLE", ""))
    monkeypatch.setattr(LocalEngine, "submit", _broken if "BREAK" in variables else _nothing)

    done = imgflow(*command, *(["-o", form] if form and command[0] != "export" else []))

    assert "c4n4ry" not in done.out
    assert "c4n4ry" not in done.err
    for path in Path(".imgflow").rglob("*"):
        assert "c4n4ry" not in str(path)
        assert path.is_dir() or b"c4n4ry" not in path.read_bytes()


def _broken(*_: object) -> None:
    raise RuntimeError(f"asked with {KEY}, {KEY!r} and s3://me:{KEY}@bucket")


def _nothing(*_: object) -> None:
    pass
