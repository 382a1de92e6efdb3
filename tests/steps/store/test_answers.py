"""What a server answers is compared with what it listed and what it was sent: nothing damaged on its way is taken."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from tests import servers
from tests.servers import Proxy, Server

from imgflow_steps.store import ChangedError, UnavailableError, UnreadableError
from imgflow_steps.store.asking import Silence, SpoiltError
from imgflow_steps.store.client import open_client
from imgflow_steps.store.s3 import S3
from imgflow_steps.store.settings import S3Settings
from imgflow_steps.store.sums import Check
from imgflow_steps.store.versions import PART

DATA = bytes(range(256)) * 40


@pytest.fixture
def proxy(moto_server: Server) -> Iterator[Proxy]:
    proxy = Proxy(moto_server)
    yield proxy
    proxy.close()


@pytest.fixture
def shaky(moto_server: Server, proxy: Proxy) -> S3:
    """A store behind the proxy, impatient, that holds ``a``."""
    quick = replace(moto_server.behind(proxy).settings, connect=1, read=1, retries=2, backoff=0.01)
    store = S3(moto_server.new_bucket().removeprefix("s3://"), "", quick)
    store.write("a", DATA)
    return store


@pytest.fixture
def paged(shaky: S3, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The same with five objects, of which two make a page."""
    monkeypatch.setattr("imgflow_steps.store.s3.BATCH", 2)
    for name in "bcde":
        shaky.write(name, name.encode())
    proxy.first.clear()
    return shaky


@pytest.mark.parametrize("fault", ["flip", "short"])
def test_what_always_comes_damaged_is_this_objects_fault_and_says_what_differs(
    shaky: S3, proxy: Proxy, fault: str, tmp_path: Path
) -> None:
    [found] = shaky.entries()
    proxy.spoil(*[fault] * 99)
    with pytest.raises(UnreadableError, match=r"'a': .*(MD5|bytes came)"):
        shaky.read("a", found.version, found.bytes)
    with pytest.raises(UnreadableError, match=r"'a': .*MD5"):
        shaky.download("a", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_many_objects_in_sequence_that_come_damaged_are_the_stores_fault(shaky: S3, proxy: Proxy) -> None:
    proxy.spoil(*["flip"] * 99)
    said = []
    for _ in range(8):
        with pytest.raises(UnavailableError) as caught:
            shaky.read("a")
        said.append(type(caught.value))
    assert said == [UnreadableError] * 7 + [UnavailableError]


def test_an_object_without_an_md5_is_compared_with_the_length_that_was_listed(shaky: S3, proxy: Proxy) -> None:
    parts = {"etag": f'"{"1" * 32}-2"'}
    with pytest.raises(SpoiltError, match=f"version {'1' * 32}-2 came"):
        Check(parts, version="0" * 32 + "-2", size=len(DATA))
    check = Check(parts, version="1" * 32 + "-2", size=len(DATA))
    check.add(DATA[:-1])
    with pytest.raises(SpoiltError, match="of the listing"):
        check.end()
    proxy.rule = lambda method, path: "short" if method == "GET" and "list-type" not in path else ""
    opaque = S3(shaky.url.removeprefix("s3://"), "", replace(shaky._retries._settings, etags="opaque"))
    with pytest.raises(UnreadableError, match=f"not the {len(DATA)} of the listing"):
        opaque.read("a", size=len(DATA))


def test_an_object_of_several_parts_that_arrives_cut_is_not_taken_for_whole(
    shaky: S3, moto_server: Server, proxy: Proxy, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(bytes(PART + 1))
    bucket = shaky.url.removeprefix("s3://")
    patient = S3(bucket, "", replace(shaky._retries._settings, read=20))
    patient.upload(tmp_path / "big", "big")
    found = patient.stat("big")
    assert found
    assert found.version.endswith("-2")

    proxy.spoil("short")
    patient.download("big", tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_size == PART + 1

    patient.upload(tmp_path / "big", "runs/a/listing.jsonl")  # of which is known in which parts it went up
    proxy.spoil("flip")
    patient.download("runs/a/listing.jsonl", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == bytes(PART + 1)
    assert len(proxy.requests) == 2
    other = BytesIO(bytes(PART + 1))
    open_client(moto_server.settings).put_object(bucket, "runs/b/parts", other, PART + 1, part_size=6 << 20)
    assert len(patient.read("runs/b/parts")) == PART + 1


@pytest.mark.parametrize("kept", ["aws:kms", "aws:kms:dsse"])
def test_an_etag_of_an_encrypted_object_is_no_md5_and_its_checksum_counts(kept: str) -> None:
    headers = {"etag": '"' + "0" * 32 + '"', "x-amz-server-side-encryption": kept}
    sums = {
        "SHA256": hashlib.sha256(DATA).digest(),
        "SHA1": hashlib.sha1(DATA, usedforsecurity=False).digest(),
        "CRC32": zlib.crc32(DATA).to_bytes(4, "big"),
    }
    for name, digest in sums.items():
        told = headers | {f"x-amz-checksum-{name.lower()}": base64.b64encode(digest).decode()}
        whole, flipped = Check(told), Check(told)
        whole.add(DATA)
        whole.end()
        flipped.add(b"\x01" + DATA[1:])
        with pytest.raises(SpoiltError, match=f"another {name}"):
            flipped.end()
    assert not Check(headers).certain
    assert not Check(headers | {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "COMPOSITE"}).certain


@pytest.mark.parametrize("name", ["CRC32", "SHA256", "SHA1"])
def test_a_checksum_of_parts_is_none_of_the_object_also_where_the_server_does_not_say_its_type(name: str) -> None:
    """S3 has told the type since the end of 2024; before that only the number of parts told it."""
    told = {"etag": '"' + "1" * 32 + '-2"', f"x-amz-checksum-{name.lower()}": "AAAAAA==-2"}
    check = Check(told, size=len(DATA))
    check.add(DATA)
    check.end()
    assert not check.sums


def test_an_upload_that_arrives_changed_is_sent_again(shaky: S3, proxy: Proxy) -> None:
    proxy.spoil("changed")
    shaky.write("b", DATA)
    assert shaky.read("b") == DATA

    proxy.spoil(*["changed"] * 99)
    with pytest.raises(UnavailableError, match=r"'c': .*stored other bytes than were sent"):
        shaky.write("c", DATA)


@pytest.mark.parametrize("start", [0, 10, len(DATA) - 100])
def test_a_part_of_an_object_that_comes_damaged_is_found_though_no_sum_is_told_of_it(
    shaky: S3, proxy: Proxy, start: int
) -> None:
    proxy.spoil("flip")
    assert shaky.read_range("a", start, 100) == DATA[start : start + 100]
    proxy.spoil(*["flip"] * 99)
    with pytest.raises(UnreadableError, match=r"'a': .*not the same"):
        shaky.read_range("a", start, 100)
    with pytest.raises(UnreadableError, match=r"'a': .*MD5"):
        shaky.read_range("a", 0, 2 * len(DATA))


@pytest.mark.parametrize("fault", ["short", "flip", "page"])
def test_a_part_of_an_object_is_the_part_that_was_asked_for(shaky: S3, proxy: Proxy, fault: str) -> None:
    proxy.spoil(fault)
    part = shaky.read_range("a", 10, 100)
    assert part == DATA[10:110]


@pytest.mark.parametrize("fault", ["again", "tokenless", "short", "page", "cut"])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_listing_survives_a_page_that_is_none(paged: S3, proxy: Proxy, fault: str, position: int) -> None:
    proxy.spoil(*[""] * position, fault)
    assert [found.key for found in paged.entries()] == list("abcde")


@pytest.mark.parametrize("fault", ["again", "empty", "tokenless", "short", "page"])
def test_a_listing_without_progress_ends_with_what_is_wrong(paged: S3, proxy: Proxy, fault: str) -> None:
    proxy.rule = lambda _method, path: fault if "continuation-token" in path else ""
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=r"listing|not an answer of S3|cannot be read"):
        list(paged.entries())
    assert len(proxy.requests) < 100
    assert time.monotonic() - started < 30


def test_folders_come_page_by_page_and_once(paged: S3, proxy: Proxy) -> None:
    for name in ("b/1", "c/1", "c/2", "d", "e/1"):
        paged.write(f"x/{name}", b"")
    proxy.spoil("", "short")
    assert list(paged.folders("x/")) == ["b", "c", "e"]


def test_a_listing_that_names_another_place_is_not_taken(shaky: S3, proxy: Proxy) -> None:
    shaky.write("x/1", b"")
    list(shaky.entries())
    proxy.first = {path.replace("prefix=", "prefix=x%2F"): body for path, body in proxy.first.items()}
    proxy.spoil("again")
    assert [found.key for found in shaky.entries("x/")] == ["x/1"]


def test_a_store_that_went_silent_is_asked_once_and_briefly_until_it_answers_again(
    shaky: S3, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgflow_steps.store.asking.SHORT", 0.1)
    proxy.spoil(*["hang"] * 6)
    asked = []
    for _ in range(4):
        with pytest.raises(UnavailableError, match="'a': it takes the connection and does not answer"):
            shaky.read("a")
        asked.append(len(proxy.requests))
    assert asked == [3, 4, 5, 6]
    assert shaky.read("a") == DATA
    proxy.spoil("hang")
    assert shaky.read("a") == DATA


def test_a_store_that_answers_only_what_has_no_body_is_asked_no_longer_than_a_silent_one(
    shaky: S3, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgflow_steps.store.asking.SHORT", 0.1)
    proxy.rule = lambda method, _path: "hang" if method == "GET" else ""
    with pytest.raises(UnavailableError):
        shaky.read("a")
    proxy.requests.clear()

    assert shaky.stat("a")
    with pytest.raises(UnavailableError):
        shaky.read("a")

    assert [request.split()[0] for request in proxy.requests] == ["HEAD", "GET"]


def test_a_server_that_never_gets_to_its_answer_is_given_up_however_much_it_says() -> None:
    over = threading.Event()

    def go_on(line: socket.socket) -> None:
        with line, suppress(OSError):
            while not over.wait(0.01):
                line.sendall(b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 9000 + b"\r\n\r\n")

    def serve(server: socket.socket) -> None:
        with suppress(OSError):
            while not over.is_set():
                threading.Thread(target=go_on, args=server.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        store = S3("bucket", "", S3Settings(endpoint, connect=1, read=1, retries=1, backoff=0.01))
        with pytest.raises(UnavailableError, match="does not answer"):
            store.read("a")
        over.set()


def test_silence_of_all_requests_of_an_operation_together_has_an_end(shaky: S3, proxy: Proxy) -> None:
    patient = S3(shaky.url.removeprefix("s3://"), "", replace(shaky._retries._settings, read=15.0, retries=4))
    assert (
        2 * patient._retries._settings.read < patient._retries._settings.budget < 3 * patient._retries._settings.read
    )  # and as often briefly
    proxy.spoil("cut", "503", "drop", "flip")
    assert patient.read("a") == DATA
    silence = Silence(patient._retries._settings.budget, spent=15.1)
    assert silence.lasts(15.0)
    silence.spent += 15.0
    assert not silence.lasts(15.0)


@pytest.mark.minio
def test_what_a_real_server_encrypts_with_keys_of_its_own_is_compared_with_its_checksum(tmp_path: Path) -> None:
    key = f"one:{base64.b64encode(bytes(32)).decode()}"
    (tmp_path / "disk").mkdir()
    with servers.minio(tmp_path / "disk", MINIO_KMS_SECRET_KEY=key, MINIO_KMS_AUTO_ENCRYPTION="on") as server:
        proxy = Proxy(server)
        bucket = server.new_bucket().removeprefix("s3://")
        store = S3(bucket, "", replace(server.behind(proxy).settings, backoff=0.01))
        store.write("a", DATA)
        [found] = store.entries()
        assert found.version != hashlib.md5(DATA, usedforsecurity=False).hexdigest()
        proxy.spoil("flip", "short")
        assert store.read("a", found.version, found.bytes) == DATA
        assert len(proxy.requests) == 3
        proxy.close()


@pytest.mark.minio
def test_versions_and_checksums_of_a_real_server_fit(minio_server: Server) -> None:
    proxy = Proxy(minio_server)
    bucket = minio_server.new_bucket().removeprefix("s3://")
    store = S3(bucket, "", minio_server.settings)
    store.write("a", DATA)
    [found] = store.entries()
    assert store.read("a", found.version, found.bytes) == DATA
    settings = replace(minio_server.behind(proxy).settings, etags="opaque", backoff=0.01)
    opaque = S3(bucket, "", settings)
    proxy.spoil("flip")
    assert opaque.read("a") == DATA
    assert len(proxy.requests) == 2  # what was sent came with a checksum, and is compared with it
    with pytest.raises(ChangedError):
        opaque.read("a", "0" * 32)
    client = open_client(minio_server.settings)
    parts = BytesIO(bytes(11 << 20))
    client.put_object(bucket, "parts", parts, 11 << 20, part_size=5 << 20)
    assert store.read("parts") == bytes(11 << 20)
    proxy.close()
