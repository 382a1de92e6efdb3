"""An object is put in place of the known version, or where nothing lies: of several who try one succeeds."""

from __future__ import annotations

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from tests.conftest import KINDS

from imgflow_steps.records import lease
from imgflow_steps.store import ChangedError, DeniedError, Store, conditional, open_store
from imgflow_steps.store.s3 import S3

RIVALS = 8


@pytest.fixture(params=[*KINDS, "ignores conditions"])
def any_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Each kind of store, and a server that takes every write, as older ones do."""
    if request.param != "ignores conditions":
        chosen: Store = request.getfixturevalue(f"{request.param}_store")
        return chosen
    put = S3._put_if
    monkeypatch.setattr(S3, "_put_if", lambda self, name, data, _: put(self, name, data, {}))
    monkeypatch.setattr(conditional, "SETTLE", 1.0)
    older: Store = request.getfixturevalue("moto_store")
    return older


def test_what_is_replaced_is_the_version_that_was_seen(any_store: Store) -> None:
    first = any_store.replace("runs/a/lease.json", b"first")
    second = any_store.replace("runs/a/lease.json", b"second", first.version)

    with pytest.raises(ChangedError, match="somebody else"):
        any_store.replace("runs/a/lease.json", b"third")
    with pytest.raises(ChangedError):
        any_store.replace("runs/a/lease.json", b"third", first.version)
    with pytest.raises(ChangedError):
        any_store.replace("runs/b/lease.json", b"third", first.version)

    there = any_store.stat("runs/a/lease.json")
    assert there
    assert there.version == second.version
    assert any_store.read("runs/a/lease.json") == b"second"
    assert [found.key for found in any_store.entries()] == ["runs/a/lease.json"]


@pytest.mark.parametrize("there", [False, True])
def test_of_several_who_try_at_the_same_time_one_succeeds(any_store: Store, *, there: bool) -> None:
    version = any_store.replace("lease", b"nobody").version if there else ""
    stores = [open_store(any_store.url) for _ in range(RIVALS)]
    for store in stores:
        store.stat("lease")  # is connected
    ready = Barrier(RIVALS)

    def one(number: int) -> int | None:
        ready.wait()
        try:
            stores[number].replace("lease", f"rival {number}".encode(), version)
        except ChangedError:
            return None
        return number

    with ThreadPoolExecutor(RIVALS) as pool:
        won = [number for number in pool.map(one, range(RIVALS)) if number is not None]

    assert [any_store.read("lease")] == [f"rival {number}".encode() for number in won]


def test_a_file_system_without_hard_links_holds_leases_as_well(
    directory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as exFAT, a share of Azure Files, or a bucket that is mounted."""

    def refused(path: Path, _target: object) -> None:
        raise OSError(no_links, os.strerror(no_links), os.fspath(path))

    monkeypatch.setattr(Path, "hardlink_to", refused)
    for no_links in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
        key = f"runs/{no_links}/lease.json"
        first = directory_store.replace(key, b"first")
        with pytest.raises(ChangedError):
            directory_store.replace(key, b"second")
        assert directory_store.read(key, first.version) == b"first"

    no_links = errno.EACCES
    with pytest.raises(DeniedError):
        directory_store.replace("runs/a/lease.json", b"first")
    assert directory_store.stat("runs/a/lease.json") is None


def test_an_answer_that_was_lost_is_no_rival(store: Store) -> None:
    store.write("lease", b"mine")

    def refuse(*_: object) -> str:
        raise ChangedError("the first of two tries has put it there")

    assert conditional.replace(store, refuse, "lease", b"mine", "").bytes == 4
    with pytest.raises(ChangedError):
        conditional.replace(store, refuse, "lease", b"hers", "")


def test_age_is_told_by_the_clock_of_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lease.place(store, lease.new("mine", "local"))
    found = store.stat("runs/mine/lease.json")
    assert found
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400)  # this machine's clock is a day ahead

    assert 0 <= lease.age(store, found) < 30


@pytest.mark.parametrize("heeded", [True, False])
def test_a_browser_is_told_what_was_put_in_place(
    moto_store: S3, monkeypatch: pytest.MonkeyPatch, *, heeded: bool
) -> None:
    monkeypatch.setattr(conditional, "SETTLE", 0.0)
    moto_store._conditions = heeded

    first = moto_store.replace("runs/a/report/index.html", b"one", content_type="text/html")
    moto_store.replace("runs/a/report/index.html", b"two", first.version, "text/html")
    moto_store.replace("runs/a/lease.json", b"{}")

    def kind(key: str) -> str | None:
        return moto_store._client.stat_object(moto_store._bucket, moto_store._name(key)).content_type

    assert kind("runs/a/report/index.html") == "text/html"
    assert kind("runs/a/lease.json") == "application/octet-stream"
