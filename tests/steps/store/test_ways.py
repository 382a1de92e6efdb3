"""What lies between here and an S3 server: TLS, a proxy, a bill, and a second server for the photographs."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests import photographs
from tests.certificates import served, written
from tests.servers import Server, free_port, minio
from tests.tokens import Sts

from imgflow_steps.contract.redaction import redacted
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.store import SilentError, UnavailableError, inside, open_source, open_store
from imgflow_steps.store.proxies import proxy_of
from imgflow_steps.store.s3 import S3
from imgflow_steps.store.settings import S3Settings
from imgflow_steps.worker.processes import Processes
from imgflow_steps.worker.reach import Reach

PASSWORD = "a-password-of-the-proxy"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "IMGFLOW_S", "SSL_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


class Between:
    """A way to a server: the door of TLS before it, or a proxy that takes it for whatever host it is asked for."""

    def __init__(self, server: Server, context: ssl.SSLContext | None = None, user: str = "") -> None:
        self.upstream, self.asked, self.authorized = urlsplit(server.settings.endpoint), [""], user
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self) -> None:
                between.asked.append(f"CONNECT {self.path}")
                if self.headers.get("Proxy-Authorization", "") != between.authorized:
                    self.send_error(407)
                    return
                self.send_response(200)
                self.end_headers()
                between.pipe(self.connection)
                self.close_connection = True

            def forward(self) -> None:
                between.asked.append(f"{self.command} {self.path}")
                path = self.path.removeprefix(f"http://{self.headers['Host']}")
                head = [f"{self.command} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in self.headers.items())]
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = "\r\n".join([*head, "Connection: close", "", ""]).encode() + body
                with closing(between.line()) as line:
                    line.sendall(request)
                    while chunk := line.recv(1 << 16):
                        self.wfile.write(chunk)
                self.close_connection = True

            def __getattr__(self, name: str) -> Callable[[], None]:
                if name.startswith("do_"):
                    return self.forward
                raise AttributeError(name)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that do not trust it hang up
        if context:
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        self.port = self._http.server_port

    def line(self) -> socket.socket:
        return socket.create_connection((self.upstream.hostname or "", self.upstream.port or 0))

    def pipe(self, one: socket.socket) -> None:
        with closing(self.line()) as other:
            back = threading.Thread(target=_copy, args=(other, one), daemon=True)
            back.start()
            _copy(one, other)
            back.join()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while chunk := one.recv(1 << 16):
            other.sendall(chunk)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


Door = Callable[..., Between]


@pytest.fixture
def between() -> Iterator[Door]:
    made: list[Between] = []

    def make(*arguments: object, **kw: object) -> Between:
        made.append(Between(*arguments, **kw))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def impatient(environment: dict[str, str]) -> S3Settings:
    return replace(S3Settings.from_environment(environment), connect=2, read=2, retries=1, backoff=0.01)


def test_an_authority_of_ones_own_vouches_for_a_server_where_it_is_named(
    moto_server: Server, between: Door, tmp_path: Path
) -> None:
    bucket, door = moto_server.new_bucket(), between(moto_server, written(tmp_path, "127.0.0.1"))
    secure = {**moto_server.environment, "IMGFLOW_S3_ENDPOINT": f"https://127.0.0.1:{door.port}"}
    config = tmp_path / "config"
    config.write_text(f"[default]\nca_bundle = {tmp_path}/ca.pem\n")

    for told in ({"AWS_CA_BUNDLE": f"{tmp_path}/ca.pem"}, {"AWS_CONFIG_FILE": str(config)}):
        store = S3(bucket.removeprefix("s3://"), "", impatient({**secure, **told}))
        store.write("a", b"photograph")
        assert store.read("a") == b"photograph"


def test_a_certificate_that_is_not_trusted_is_named_as_the_cause_at_once(
    moto_server: Server, between: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgflow_steps.store.asking._Retry.sleep", lambda *_: pytest.fail("it is asked again"))
    for name, days, words in (
        ("127.0.0.1", 1, "self-signed certificate; set AWS_CA_BUNDLE"),
        ("elsewhere.example", 1, "not valid for '127.0.0.1'; use the name"),
        ("127.0.0.1", -1, "certificate has expired; have the server's certificate renewed"),
    ):
        door = between(moto_server, written(tmp_path, name, days))
        told = {} if words.startswith("self") else {"AWS_CA_BUNDLE": f"{tmp_path}/ca.pem"}
        told["AWS_ENDPOINT_URL"] = f"https://127.0.0.1:{door.port}"
        store = S3("bucket", "", replace(impatient(told), retries=9, backoff=10))
        with pytest.raises(
            SilentError, match=f"bucket at https.*TLS: the server's certificate is not trusted.*{words}"
        ):
            store.read("a")


def test_a_server_that_speaks_no_tls_is_told_from_one_that_is_away(moto_server: Server) -> None:
    plain = moto_server.settings.endpoint.replace("http://", "https://")

    with pytest.raises(SilentError, match="TLS: the server answers without it; write the endpoint with http://"):
        S3("bucket", "", impatient({"AWS_ENDPOINT_URL": plain})).read("a")


@pytest.mark.minio
def test_a_real_server_with_tls_is_a_store_and_says_so_to_whoever_asks_without(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with minio(tmp_path / "data", certificates=served(tmp_path, "127.0.0.1")) as server:
        bucket = server.new_bucket().removeprefix("s3://")
        told = {**server.environment, "AWS_CA_BUNDLE": f"{tmp_path}/ca.pem"}
        S3(bucket, "", impatient(told)).write("a", b"photograph")
        plain = {**told, "IMGFLOW_S3_ENDPOINT": server.settings.endpoint.replace("https://", "http://")}

        assert S3(bucket, "", impatient(told)).read("a") == b"photograph"
        with pytest.raises(UnavailableError, match="TLS: the server wants it; write the endpoint with https://"):
            S3(bucket, "", impatient(plain)).read("a")


@pytest.mark.parametrize(("text", "words"), [("no certificate", "no certificate in PEM"), ("", "No such file")])
def test_a_bundle_that_cannot_be_is_named_before_anybody_is_asked(tmp_path: Path, text: str, words: str) -> None:
    if text:
        (tmp_path / "ca.pem").write_text(text)

    with pytest.raises(BadParametersError, match=rf"AWS_CA_BUNDLE names .*ca\.pem.*{words}"):
        S3Settings.from_environment({"AWS_CA_BUNDLE": str(tmp_path / "ca.pem")})


@pytest.mark.minio
def test_a_proxy_carries_every_request_of_a_store(minio_server: Server, between: Door) -> None:
    proxy, bucket = between(minio_server), minio_server.new_bucket()
    told = {**minio_server.environment, "IMGFLOW_S3_ENDPOINT": "http://minio.example:9000"}
    store = S3(bucket.removeprefix("s3://"), "", impatient({**told, "HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"}))

    store.write("a", b"photograph")
    assert [found.key for found in store.entries()] == ["a"]
    assert store.read("a") == b"photograph"
    assert len(proxy.asked) == 4
    assert all("http://minio.example:9000/" in asked for asked in proxy.asked[1:])


@pytest.mark.minio
def test_tls_goes_through_a_proxy_that_sees_the_name_alone_and_wants_a_password(
    minio_server: Server, between: Door, tmp_path: Path
) -> None:
    door = between(minio_server, written(tmp_path, "minio.example"))
    behind = Server(replace(minio_server.settings, endpoint=f"http://127.0.0.1:{door.port}"))
    proxy = between(behind, user="Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode())
    bucket = minio_server.new_bucket().removeprefix("s3://")
    told = {**minio_server.environment, "IMGFLOW_S3_ENDPOINT": "https://minio.example"}
    told |= {"AWS_CA_BUNDLE": f"{tmp_path}/ca.pem", "https_proxy": f"http://me:{PASSWORD}@127.0.0.1:{proxy.port}"}
    store = S3(bucket, "", impatient(told))

    store.write("a", bytes(1 << 20))
    assert store.read("a") == bytes(1 << 20)
    assert {*proxy.asked[1:]} == {"CONNECT minio.example:443"}
    assert PASSWORD not in repr(store._retries._settings)
    assert redacted(PASSWORD) == "***"


def test_a_proxy_that_is_away_or_refuses_is_named_and_not_its_password(moto_server: Server, between: Door) -> None:
    refusing = between(moto_server, user="somebody else")
    for port, words in ((free_port(), "refused"), (refusing.port, "407")):
        told = {"AWS_ENDPOINT_URL": "https://minio.example", "HTTPS_PROXY": f"http://me:{PASSWORD}@127.0.0.1:{port}"}
        with pytest.raises(
            SilentError, match=f"the proxy does not let it through.*{words}.*check HTTPS_PROXY"
        ) as refusal:
            S3("bucket", "", impatient(told)).read("a")
        assert PASSWORD not in str(refusal.value)


@pytest.mark.parametrize(
    ("address", "variables", "proxy"),
    [
        ("https://s3.city", {"HTTPS_PROXY": "http://p:1", "HTTP_PROXY": "http://q:1"}, "http://p:1"),
        ("http://s3.city", {"HTTPS_PROXY": "http://p:1", "HTTP_PROXY": "http://q:1"}, "http://q:1"),
        ("https://s3.city", {"ALL_PROXY": "p:1"}, "http://p:1"),
        ("https://s3.city", {"https_proxy": "http://low:1", "HTTPS_PROXY": "http://UP:1"}, "http://low:1"),
        ("https://s3.city", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other, .city"}, ""),
        ("https://s3.city", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ty"}, "http://p:1"),
        ("https://s3.city", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "S3.City:443"}, ""),
        ("https://s3.city", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "s3.city:8443"}, "http://p:1"),
        ("http://s3.city", {"HTTP_PROXY": "http://p:1", "NO_PROXY": ".city:80"}, ""),
        ("http://s3.city:8080", {"HTTP_PROXY": "http://p:1", "NO_PROXY": ".city:80"}, "http://p:1"),
        ("http://10.2.3.4:9000", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "10.2.3.4:9000"}, ""),
        ("http://10.2.3.4:9000", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "10.2.3.4:9001"}, "http://p:1"),
        ("http://10.2.3.4:9000", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "a, *"}, ""),
        ("http://s3.city:9000", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "a, *"}, ""),
        ("http://[fd00::7]:9000", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "[fd00::7]:9000"}, ""),
        ("http://[fd00::7]:9000", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "[fd00::7]"}, ""),
        ("http://[fd00::7]:9000", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "fd00::/8"}, ""),
        ("https://s3.city:8443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "s3.city:8443"}, ""),
        ("https://s3.city", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, ""),
        ("http://10.2.3.4:9000", {"HTTP_PROXY": "http://p:1", "no_proxy": "10.0.0.0/8"}, ""),
        ("http://11.2.3.4:9000", {"HTTP_PROXY": "http://p:1", "no_proxy": "10.0.0.0/8"}, "http://p:1"),
        ("http://127.0.0.1:9000", {"HTTP_PROXY": "http://p:1"}, ""),
        ("http://localhost:9000", {"HTTP_PROXY": "http://p:1"}, ""),
    ],
)
def test_which_proxy_it_is_follows_the_variables_of_other_programs(
    address: str, variables: dict[str, str], proxy: str
) -> None:
    assert proxy_of(address, variables) == proxy


@pytest.mark.parametrize("value", ["socks5://me:hunter22@p:1", "http://me:hunter22@p:port", "http://"])
def test_a_proxy_that_cannot_be_is_named_and_not_shown(value: str) -> None:
    with pytest.raises(BadParametersError, match="HTTPS_PROXY is the address of an HTTP proxy") as refusal:
        proxy_of("https://s3.city", {"HTTPS_PROXY": value})
    assert "hunter22" not in str(refusal.value)


def test_whoever_asks_says_under_the_signature_of_each_request_that_they_pay(
    moto_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, str]] = []
    store = S3(
        moto_server.new_bucket().removeprefix("s3://"),
        "",
        S3Settings.from_environment({**moto_server.environment, "IMGFLOW_S3_REQUEST_PAYER": "requester"}),
    )
    urlopen = store._connections.urlopen
    monkeypatch.setattr(
        store._connections, "urlopen", lambda *a, **kw: sent.append(dict(kw["headers"])) or urlopen(*a, **kw)
    )

    store.write("a", b"photograph")
    store.read("a")
    store.stat("a")
    list(store.entries())
    store.delete(["a"])
    assert len(sent) == 5
    for headers in sent:
        assert headers["x-amz-request-payer"] == "requester"
        assert "x-amz-request-payer" in headers["Authorization"]


def test_another_word_for_who_pays_is_refused() -> None:
    with pytest.raises(BadParametersError, match="IMGFLOW_S3_REQUEST_PAYER is 'requester' or is not set"):
        S3Settings.from_environment({"IMGFLOW_S3_REQUEST_PAYER": "me"})


def test_buckets_of_one_name_at_two_servers_are_two_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store:9000")
    assert inside(open_store("s3://photos"), open_source("s3://photos")) == ""
    monkeypatch.setenv("IMGFLOW_SOURCE_S3_ENDPOINT", "http://archive:9000")
    assert inside(open_store("s3://photos"), open_source("s3://photos")) is None


def opened(url: str, key: str) -> int:
    return len(open_source(url).read(key))


def own_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "IMGFLOW_"))}


@pytest.mark.minio
def test_a_computing_process_reads_from_one_server_and_another_with_the_keys_of_each(
    minio_server: Server, moto_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Profiles lie in files that it cannot read: it is told the keys, and reaches two ports."""
    server = minio_server.settings
    (tmp_path / "credentials").write_text(
        f"[archive]\naws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    )
    (tmp_path / "config").write_text(f"[profile archive]\nendpoint_url = {server.endpoint}\n")
    told = {"IMGFLOW_SOURCE_AWS_PROFILE": "archive", **moto_server.environment}
    told |= {"AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/credentials", "AWS_CONFIG_FILE": f"{tmp_path}/config"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    source, store = minio_server.new_bucket(), moto_server.new_bucket()
    open_source(source).write("a.jpg", photographs.jpeg(1))
    open_store(store).write(keys.images("Demo") + "b.jpg", b"another")

    with Processes(1, 2 << 30, "imgflow_steps.worker.loop", Reach.of(store, source).also(tmp_path)) as processes:
        of_source = processes.schedule(opened, False, source, "a.jpg").result()
        of_store = processes.schedule(len_of, False, store, keys.images("Demo") + "b.jpg").result()
        variables = processes.schedule(own_variables, False).result()

    assert (of_source, of_store) == (len(photographs.jpeg(1)), 7)
    assert variables["AWS_ACCESS_KEY_ID"] == "moto"
    assert variables["IMGFLOW_SOURCE_AWS_ACCESS_KEY_ID"] == server.access_key
    assert variables["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


@pytest.mark.minio
def test_a_computing_process_reaches_the_proxy_and_through_it_the_store(
    minio_server: Server, between: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy, bucket = between(minio_server), minio_server.new_bucket()
    told = {**minio_server.environment, "IMGFLOW_S3_ENDPOINT": "http://minio.example:9000"}
    for name, value in {**told, "HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"}.items():
        monkeypatch.setenv(name, value)
    open_store(bucket).write("a", b"photograph")

    with Processes(1, 2 << 30, "imgflow_steps.worker.loop", Reach.of(bucket).also(tmp_path)) as processes:
        assert processes.schedule(len_of, False, bucket, "a").result() == 10
    assert len(proxy.asked) == 3


def len_of(url: str, key: str) -> int:
    return len(open_store(url).read(key))


def test_a_computing_process_is_told_of_keys_that_were_renewed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-of-kubernetes")
    sts = Sts(seconds=120)
    told = {"AWS_ROLE_ARN": "arn:role", "AWS_WEB_IDENTITY_TOKEN_FILE": f"{tmp_path}/token"}
    for name, value in {**told, "AWS_ENDPOINT_URL_STS": sts.endpoint}.items():
        monkeypatch.setenv(name, value)
    with Processes(1, 2 << 30, "imgflow_steps.worker.loop", Reach.of("s3://bucket").also(tmp_path)) as processes:
        before = processes.schedule(own_variables, False).result()["AWS_ACCESS_KEY_ID"]
        sts.seconds = 3600
        [processes.schedule(own_variables, False).result() for _ in range(3)]
        after = processes.schedule(own_variables, False).result()["AWS_ACCESS_KEY_ID"]

    sts.close()
    assert before != after == f"lent-{len(sts.asked)}"
