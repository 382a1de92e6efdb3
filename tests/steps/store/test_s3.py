"""What goes wrong between here and an S3 server: the right error, in bounded time, with what to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from tests.servers import Proxy, Server, free_port

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import (
    ChangedError,
    DeniedError,
    NotFoundError,
    Store,
    UnavailableError,
)
from imgflow_steps.store.client import open_client
from imgflow_steps.store.s3 import S3
from imgflow_steps.store.settings import S3Settings
from imgflow_steps.store.versions import PART, copied, etag_of

RETRIES = 2
DATA = bytes(range(256)) * 40


@pytest.fixture
def proxy(moto_server: Server) -> Iterator[Proxy]:
    proxy = Proxy(moto_server)
    yield proxy
    proxy.close()


@pytest.fixture
def shaky(moto_server: Server, proxy: Proxy) -> S3:
    """A store behind the proxy, impatient, that holds ``a``."""
    quick = replace(moto_server.behind(proxy).settings, connect=1, read=1, retries=RETRIES, backoff=0.01)
    store = S3(moto_server.new_bucket().removeprefix("s3://"), "", quick)
    store.write("a", DATA)
    return store


def reads(proxy: Proxy) -> int:
    return sum(request.startswith("GET") and "?" not in request for request in proxy.requests)


@pytest.mark.parametrize("fault", ["503", "hang", "reset", "cut", "short", "flip", "page", "html", "drop", "trickle"])
def test_a_read_survives_a_fault_that_passes(shaky: S3, proxy: Proxy, fault: str) -> None:
    proxy.spoil(fault, fault)
    assert shaky.read("a") == DATA
    assert reads(proxy) == 3


@pytest.mark.parametrize("fault", ["503", "hang", "reset", "cut", "short", "flip", "page", "drop", "drip", "trickle"])
def test_a_read_gives_up_in_bounded_time_when_it_does_not(shaky: S3, proxy: Proxy, fault: str) -> None:
    proxy.spoil(*[fault] * 99)
    started = time.monotonic()

    with pytest.raises(UnavailableError, match="'a'"):
        shaky.read("a")
    assert reads(proxy) == RETRIES + 1
    assert time.monotonic() - started < (RETRIES + 1) * 1 + 5


@pytest.mark.parametrize("fault", ["503", "hang", "reset", "page", "drop", "trickle"])
def test_writing_listing_and_deleting_survive_a_fault_that_passes(shaky: S3, proxy: Proxy, fault: str) -> None:
    proxy.spoil(fault)
    shaky.write("b", b"written")
    proxy.spoil(fault)
    assert [found.key for found in shaky.entries()] == ["a", "b"]
    proxy.spoil(fault)
    assert shaky.stat("b")
    proxy.spoil(fault)
    shaky.delete(["a"])
    assert [found.key for found in shaky.entries()] == ["b"]


def test_a_large_upload_survives_faults_in_each_of_its_requests(shaky: S3, proxy: Proxy, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(PART + 1))
    patient = S3(shaky.url.removeprefix("s3://"), "", replace(shaky._retries._settings, read=20))
    proxy.spoil("503", "", "503", "", "503", "", "503")
    patient.upload(big, "big")
    found = patient.stat("big")

    assert found
    assert found.bytes == PART + 1


def test_a_truncated_download_leaves_what_was_there(shaky: S3, proxy: Proxy, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"before")
    proxy.spoil(*["cut"] * 99)

    with pytest.raises(UnavailableError):
        shaky.download("a", target)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("target", b"before")]


def test_one_image_is_one_request(shaky: S3, proxy: Proxy) -> None:
    [found] = shaky.entries()
    proxy.spoil()
    shaky.read("a", found.version)
    assert len(proxy.requests) == 1
    proxy.spoil()
    with pytest.raises(ChangedError):
        shaky.read("a", "0" * 32)
    assert len(proxy.requests) == 1


def test_connections_are_used_again_and_never_lost(moto_server: Server) -> None:
    store = S3(moto_server.new_bucket().removeprefix("s3://"), "", moto_server.settings)
    store.write("a", DATA)
    for _ in range(10):
        assert store.read("a") == DATA
        assert store.stat("nothing") is None
        with pytest.raises(NotFoundError):
            store.read("nothing")
    pools = store._client._http.pools
    [used] = [pools[key] for key in pools.keys()]  # noqa: SIM118 - urllib3's container does not iterate

    assert used.num_connections == 1


def test_something_that_is_no_s3_is_said_to_be_none(shaky: S3, proxy: Proxy) -> None:
    for fault in ("html", "page"):
        proxy.spoil(*[fault] * 99)
        for use in (
            lambda: shaky.read("a"),
            lambda: shaky.stat("a"),
            lambda: shaky.write("b", b"b"),
            lambda: list(shaky.entries()),
            lambda: shaky.delete(["a"]),
        ):
            with pytest.raises(UnavailableError, match="address of the S3 server"):
                use()
        proxy.faults.clear()
    assert shaky.read("a") == DATA


def test_what_a_server_in_trouble_has_not_deleted_is_tried_again(shaky: S3, proxy: Proxy) -> None:
    proxy.spoil("kept")
    with pytest.raises(UnavailableError, match="InternalError"):
        shaky.delete(["a"])


def test_nobody_listening_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    store = S3("bucket", "", S3Settings(f"http://127.0.0.1:{port}", retries=1))

    with pytest.raises(UnavailableError, match=rf"bucket at .*:{port}.*refused.*check that the server"):
        store.read("a")


def test_a_pod_waits_for_a_server_that_comes_back_and_says_that_it_does(
    moto_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    bucket, port = moto_server.new_bucket().removeprefix("s3://"), free_port()
    away = replace(moto_server.settings, endpoint=f"http://127.0.0.1:{port}", retries=1, backoff=0.01, patience=100)
    back = threading.Timer(1, lambda: servers.append(Proxy(moto_server, port)))
    servers: list[Proxy] = []
    back.start()
    S3(bucket, "", away).write("a", DATA)
    back.join()
    servers[0].close()
    assert S3(bucket, "", moto_server.settings).read("a") == DATA
    assert [record.message for record in caplog.records if "does not answer" in record.message]


def test_a_pod_does_not_wait_for_a_server_that_takes_connections_and_never_answers(
    shaky: S3, moto_server: Server, proxy: Proxy
) -> None:
    proxy.spoil(*["hang"] * 99)
    patient = replace(moto_server.behind(proxy).settings, connect=1, read=1, retries=1, backoff=0.01, patience=1000)
    with pytest.raises(UnavailableError):
        S3("bucket", "", patient).stat("a")
    assert len(proxy.requests) == 2


def test_an_unknown_host_is_unavailable() -> None:
    store = S3("bucket", "", S3Settings("http://imgflow.invalid", retries=0))
    with pytest.raises(UnavailableError, match=r"imgflow\.invalid"):
        list(store.entries())


def test_a_missing_bucket_is_named_by_every_method(moto_server: Server, tmp_path: Path) -> None:
    store = S3("no-such-bucket", "", moto_server.settings)
    (tmp_path / "file").write_bytes(b"x")
    for use in (
        lambda: store.read("a"),
        lambda: store.stat("a"),
        lambda: store.write("a", b""),
        lambda: list(store.entries()),
        lambda: list(store.folders()),
        lambda: store.upload(tmp_path / "file", "a"),
        lambda: store.delete(["a"]),
    ):
        with pytest.raises(DeniedError, match=r"bucket no-such-bucket at http.*create the bucket"):
            use()


@pytest.mark.minio
@pytest.mark.parametrize(
    ("changes", "word"),
    [({"access_key": "nobody"}, "InvalidAccessKeyId"), ({"secret_key": "hunter2"}, "SignatureDoesNotMatch")],
)
def test_wrong_credentials_are_denied_without_showing_them(
    minio_server: Server, changes: dict[str, str], word: str
) -> None:
    bucket = minio_server.new_bucket().removeprefix("s3://")
    store = S3(bucket, "", replace(minio_server.settings, **changes))
    for use in (lambda: store.read("a"), lambda: store.stat("a"), lambda: list(store.entries())):
        with pytest.raises(DeniedError, match=word) as refusal:
            use()
        assert "hunter2" not in str(refusal.value)
        assert minio_server.settings.secret_key not in str(refusal.value)


@pytest.mark.minio
def test_without_credentials_a_private_bucket_is_denied(minio_server: Server) -> None:
    bucket = minio_server.new_bucket().removeprefix("s3://")
    anonymous = S3(bucket, "", S3Settings(minio_server.settings.endpoint))
    with pytest.raises(DeniedError, match="AWS_ACCESS_KEY_ID"):
        list(anonymous.entries())


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1])
def test_the_version_that_a_file_will_have_is_known_before_it_is_uploaded(
    store: Store, size: int, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(size))
    store.upload(file, "a")
    found = store.stat("a")
    status = file.stat()

    assert found
    with file.open("rb") as opened:
        assert copied(found.version) in {etag_of(opened), f"{status.st_size}-{status.st_mtime_ns}"}


def test_the_environment_says_where_and_who() -> None:
    settings = S3Settings.from_environment(
        {
            "AWS_ENDPOINT_URL": "http://elsewhere:9000",
            "IMGFLOW_S3_ENDPOINT": "http://minio:9000",
            "AWS_ACCESS_KEY_ID": "key\n",
            "AWS_SECRET_ACCESS_KEY": "secret\n",
            "AWS_REGION": "",
            "AWS_DEFAULT_REGION": "eu-north-1",
            "IMGFLOW_STORE_PATIENCE": "90",
        }
    )
    assert settings == S3Settings("http://minio:9000", "eu-north-1", "key", "secret", patience=90, read=22.5)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ENDPOINT_URL": "minio:9000"},
        {"AWS_ENDPOINT_URL": "http://user:hunter2@minio:9000"},
        {"AWS_ENDPOINT_URL": "http://minio:9000/path"},
        {"AWS_ENDPOINT_URL": "http://minio:hunter2"},
        {"AWS_ENDPOINT_URL": "http://[hunter2"},
        {"AWS_ENDPOINT_URL": "http://minio:9000?hunter2"},
        {"AWS_ACCESS_KEY_ID": "key"},
        {"AWS_SECRET_ACCESS_KEY": "hunter2"},
        {"IMGFLOW_STORE_PATIENCE": "ten"},
        {"IMGFLOW_STORE_PATIENCE": "-1"},
    ],
)
def test_settings_that_cannot_be_are_named_and_not_shown(variables: dict[str, str]) -> None:
    with pytest.raises(BadParametersError, match=r"AWS_|IMGFLOW_STORE_PATIENCE") as refusal:
        S3Settings.from_environment(variables)
    assert "hunter2" not in str(refusal.value)


def test_folder_markers_that_consoles_leave_are_no_objects(moto_server: Server, moto_store: Store) -> None:
    bucket = moto_store.url.removeprefix("s3://")
    open_client(moto_server.settings).put_object(bucket, "folder/", BytesIO(), 0)
    moto_store.write("folder/a", b"x")

    assert [found.key for found in moto_store.entries()] == ["folder/a"]
    assert list(moto_store.folders()) == ["folder"]
