"""Pictures that are gone from the store or damaged: named wherever somebody asks, made again by one command."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import photographs

from imgflow_steps.records import keys, lease
from imgflow_steps.store import Store, open_store
from imgflow_workflows.results import intact

if TYPE_CHECKING:
    from tests import servers
    from tests.cli.conftest import Cli

STEPS = ("--steps", "scale:50%", "--workers", "1")


def pictures(store: Store) -> dict[str, str]:
    found = (one.key for one in store.entries("results/") if "/images/" in one.key)
    return {key: hashlib.sha256(store.read(key)).hexdigest() for key in found}


def harm(store: Store) -> tuple[str, str, str]:
    """Remove one picture, change a byte of another one and cut a third one; gives their keys."""
    gone, changed, cut, *_ = sorted(pictures(store))
    data = store.read(changed)
    store.delete([gone])
    store.write(changed, data[:-1] + bytes([data[-1] ^ 1]))
    store.write(cut, store.read(cut)[:-100])
    return gone, changed, cut


@pytest.fixture
def away(moto_server: servers.Server, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store in S3, which commands use."""
    for name, value in moto_server.environment.items():
        monkeypatch.setenv(name, value)
    url = moto_server.new_bucket()
    monkeypatch.setenv("IMGFLOW_STORE", url)
    return open_store(url)


@pytest.fixture(params=["directory", "s3"])
def made(request: pytest.FixtureRequest, imgflow: Cli) -> tuple[Store, dict[str, str]]:
    """A store with a run of five photographs, one of them a letter, and the pictures in it."""
    store: Store = request.getfixturevalue("store" if request.param == "directory" else "away")
    for i in range(4):
        store.write(keys.images("Demo") + f"{i}.jpg", photographs.jpeg(i))
    store.write(keys.images("Demo") + "letter.jpg", b"Dear Sir or Madam")
    assert imgflow("submit", "-m", "Demo", "--run", "demo-1", *STEPS).code == 0
    assert imgflow("doctor", "demo-1").code == 0
    return store, pictures(store)


def test_pictures_that_are_gone_or_damaged_are_named_and_one_command_makes_them_again(
    imgflow: Cli, made: tuple[Store, dict[str, str]]
) -> None:
    store, before = made
    gone, changed, cut = harm(store)

    doctor = imgflow("doctor", "demo-1", "-o", "json")
    told = imgflow("doctor", "demo-1")
    fetched = imgflow("fetch", "demo-1", "out")
    exported = imgflow("export", "exported", "-m", "Demo", "--results")

    [finding] = doctor.json["findings"]
    assert (doctor.code, finding["cause"], finding["mend"][0].split("#")[0].strip()) == (
        1,
        "results-gone",
        "imgflow retry demo-1 --repair",
    )
    assert {one["message"]: one["reason"] for one in finding["evidence"]} == {
        gone: "no longer in the store",
        changed: "not what the run made",
        cut: "not what the run made",
    }
    assert all(key in told.out for key in (gone, changed, cut))
    for done in (fetched, exported):
        assert done.code == 1
        assert "imgflow retry demo-1 --repair" in done.err
        assert all(f"{key.rpartition('/')[2].partition('.')[0]}.jpg" in done.err for key in (gone, changed, cut))
    assert len(list(Path("exported").glob("*.jpg"))) == len(list(Path("out").glob("*.jpg"))) == 1

    repaired = imgflow("retry", "demo-1", "--repair", "-o", "json")

    assert repaired.code == 0
    assert (repaired.json["counts"]["processed"], repaired.json["counts"]["rejected"]) == (4, 1)
    assert "4 pictures compared: 3 images with gone or damaged ones" in repaired.err
    assert pictures(store) == before
    for again in (("doctor", "demo-1"), ("fetch", "demo-1", "out"), ("export", "exported", "-m", "Demo", "--results")):
        assert imgflow(*again).code == 0


@pytest.mark.parametrize("made", ["directory"], indirect=True)
def test_what_is_whole_is_not_made_again(imgflow: Cli, made: tuple[Store, dict[str, str]]) -> None:
    store, _ = made
    versions = {one.key: one.placed for one in store.entries("results/") if "/images/" in one.key}
    done = imgflow("retry", "demo-1", "--repair")

    assert done.code == 0
    assert "4 pictures compared: 0 images" in done.err
    assert {one.key: one.placed for one in store.entries("results/") if "/images/" in one.key} == versions


@pytest.mark.parametrize("made", ["directory"], indirect=True)
def test_a_repair_that_is_stopped_halfway_is_finished_by_any_run(
    imgflow: Cli, made: tuple[Store, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, before = made
    harm(store)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("imgflow_workflows.engines.local.LocalEngine.submit", stopped)
        imgflow("retry", "demo-1", "--repair")
    done = imgflow("submit", "-m", "Demo", *STEPS, "-o", "json")

    assert (done.code, done.json["counts"]["processed"], done.json["counts"]["cached"]) == (0, 3, 1)
    assert pictures(store) == before


@pytest.mark.parametrize("made", ["directory"], indirect=True)
def test_a_run_that_has_ended_still_has_when_comparing_its_pictures_is_stopped(
    imgflow: Cli, made: tuple[Store, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(intact, "mark", stopped)

    assert imgflow("retry", "demo-1", "--repair").code == 130
    assert imgflow("get", "demo-1", "-o", "json").json["status"] == "succeeded"


@pytest.mark.parametrize("made", ["directory"], indirect=True)
def test_a_repair_of_a_run_that_somebody_works_on_is_refused_and_changes_no_row(
    imgflow: Cli, made: tuple[Store, dict[str, str]]
) -> None:
    store, _ = made
    harm(store)
    rows = {one.key for one in store.entries("results/") if "/rows/" in one.key}
    lease.place(store, lease.Lease(run="demo-1", engine="local", holder="ada@elsewhere", token="hers", mark="0-1-2"))

    refused = imgflow("retry", "demo-1", "--repair")

    assert (refused.code, "ada@elsewhere works on run demo-1" in refused.err) == (1, True)
    assert {one.key for one in store.entries("results/") if "/rows/" in one.key} == rows


@pytest.mark.parametrize("made", ["directory"], indirect=True)
def test_nobody_gets_a_run_while_its_pictures_are_compared(
    imgflow: Cli, made: tuple[Store, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To compare a million pictures takes longer than a lease lasts that nobody renews."""
    monkeypatch.setattr(lease, "RENEW", 0.05)
    store, _ = made
    renewed: list[int] = []
    mark = intact.mark

    def slowly(*arguments: Any) -> int:
        for _ in range(100):
            time.sleep(0.05)
            if (there := lease.read(store, "demo-1")) and there[0].renewed:
                renewed.append(there[0].renewed)
                break
        return mark(*arguments)

    monkeypatch.setattr(intact, "mark", slowly)

    assert imgflow("retry", "demo-1", "--repair").code == 0
    assert renewed


def test_pictures_that_the_store_knows_by_their_md5_are_not_read(
    imgflow: Cli, away: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    away.write(keys.images("Demo") + "1.jpg", photographs.jpeg(1))
    imgflow("submit", "-m", "Demo", "--run", "demo-1", *STEPS)
    read: list[str] = []
    known: Callable[..., bytes] = type(away).read
    monkeypatch.setattr(type(away), "read", lambda self, key, *rest: read.append(key) or known(self, key, *rest))

    assert imgflow("doctor", "demo-1").code == 0
    assert not [key for key in read if "/images/" in key]
