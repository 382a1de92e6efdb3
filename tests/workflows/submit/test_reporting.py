"""A run on this machine writes its report while it goes on, and that changes nothing else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests import photographs
from tests.conftest import KINDS
from tests.local_runs import PLAIN, pictures
from tests.made_runs import MadeRun, make_run
from tests.processes import children

from imgflow_steps.collect.work import run as collect
from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.results import read_jsonl
from imgflow_steps.records.run import Run, load, save
from imgflow_steps.store import ChangedError, Store, UnavailableError, open_store
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.submit import reporting
from imgflow_workflows.submit.reporting import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = keys.report("mine") + "index.html"
UNFINISHED = b"This run is not finished"
COORDINATOR = """
import sys
from imgflow_steps.records.run import load
from imgflow_steps.store import open_store
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.submit import reporting

if __name__ == "__main__":
    reporting.EVERY, reporting.REST = 0.05, 0
    store = open_store(sys.argv[1])
    run = load(store, "mine")
    with reporting.reporting(store, run):
        LocalEngine(store, workers=2).submit(run)
"""


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "EVERY", 0.02)
    monkeypatch.setattr(reporting, "REST", 0)


def album(store: Store, count: int) -> Run:
    big = photographs.png(1, 800, 600)
    for i in range(count):
        store.write(f"{keys.images('Demo')}{'ab'[i % 2]}/{i:03d}.png", big + bytes([i]))
    run = Run(id="mine", municipality="Demo", pipeline=PLAIN, created=time.time())
    save(store, run)
    return run


def ran(store: Store, count: int, *, watched: bool) -> list[bytes]:
    """Take a run to its end; gives the first pages that were seen meanwhile."""
    run, seen, over = album(store, count), dict[bytes, None](), threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            with suppress(Exception):
                seen[store.read(FIRST)] = None

    thread = threading.Thread(target=look)
    thread.start()
    try:
        if watched:
            with reporting.reporting(store, run):
                LocalEngine(store, workers=2).submit(run)
        else:
            LocalEngine(store, workers=2).submit(run)
    finally:
        over.set()
        thread.join()
    return [page for page in seen if UNFINISHED in page]


def results(store: Store, folder: Path) -> list[dict[str, Any]]:
    """Every verdict, without times and without thumbnails, which slow images get."""
    store.download(keys.results_jsonl("mine"), folder / "results.jsonl")
    return [
        row.model_dump(exclude={"ms", "ended", "version", "thumbs", "shard"})
        for row in read_jsonl(folder / "results.jsonl")
    ]


@pytest.mark.usefixtures("often")
def test_pages_come_while_the_run_goes_on_each_whole_and_the_last_is_the_run_s_own(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))

    pages = ran(store, 40, watched=True)

    assert pages
    assert all(page.startswith(b"<!doctype html>") and page.endswith(b"</html>\n") for page in pages)
    last = store.read(FIRST)
    assert UNFINISHED not in last
    there = {found.key.removeprefix(keys.report("mine")) for found in store.entries(keys.report("mine"))}
    assert {name for name in there if name.startswith("thumbs/")} == set(re.findall(r"thumbs/[\w.]+", last.decode()))


@pytest.mark.usefixtures("often")
def test_results_are_the_same_with_pages_and_without(tmp_path: Path) -> None:
    with_pages, without = (open_store(str(tmp_path / name)) for name in ("with", "without"))

    assert ran(with_pages, 40, watched=True)
    assert ran(without, 40, watched=False) == []

    assert pictures(with_pages, "mine") == pictures(without, "mine")
    assert results(with_pages, tmp_path) == results(without, tmp_path)


def test_a_run_of_less_than_a_minute_writes_no_page(tmp_path: Path) -> None:
    assert ran(open_store(str(tmp_path / "store")), 12, watched=True) == []


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes to kill below /proc")
def test_kill_minus_nine_leaves_a_page_that_says_what_it_is_and_a_retry_replaces_it(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    album(store, 40)
    script = tmp_path / "coordinator.py"
    script.write_text(COORDINATOR)
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # what is killed cannot clean up
    started = subprocess.Popen([sys.executable, str(script), store.url], env=env)
    try:
        wait_until(lambda: store.stat(FIRST) is not None)
        family = children(started.pid)
    finally:
        os.kill(started.pid, signal.SIGKILL)
        started.wait(timeout=60)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))
    left = store.read(FIRST)

    run = load(store, "mine").model_copy(update={"created": time.time()})
    save(store, run)
    with reporting.reporting(store, run):
        LocalEngine(store, workers=2).submit(run)

    assert UNFINISHED in left
    assert left.endswith(b"</html>\n")
    assert UNFINISHED not in store.read(FIRST)
    undisturbed = open_store(str(tmp_path / "undisturbed"))
    ran(undisturbed, 40, watched=False)
    assert pictures(store, "mine") == pictures(undisturbed, "mine")


def wait_until(there: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> MadeRun:
    store: Store = request.getfixturevalue(f"{request.param}_store")
    made = MadeRun(store, make_run(tmp_path / "elsewhere").run)
    save(store, made.run)
    made.list(["a.jpg", "b.jpg"])
    told = Listing(listed=2, todo=2, shards=1)
    made.store.write(keys.listing_json(made.run.id), told.model_dump_json().encode())
    made.store.write("thumb.jpg", photographs.jpeg(1))
    made.add(made.row("a.jpg", thumbs=["thumb.jpg"]))
    return made


def test_a_page_never_takes_the_place_of_the_run_s_own_report(made: MadeRun) -> None:
    reporter, first = Reporter(made.store, made.run), keys.report(made.run.id) + "index.html"
    collect(made.store, made.run, output=None)
    own = {found.key: made.store.read(found.key) for found in made.store.entries(keys.report(made.run.id))}

    with pytest.raises(ChangedError):
        reporter.write()

    assert own[first] == made.store.read(first)
    assert own.keys() == {found.key for found in made.store.entries(keys.report(made.run.id))}


def test_an_attempt_s_page_takes_the_place_of_the_report_of_the_one_before(made: MadeRun) -> None:
    collect(made.store, made.run, output=None)
    reporter, first = Reporter(made.store, made.run), keys.report(made.run.id) + "index.html"

    reporter.write()
    reporter.write()

    assert UNFINISHED in made.store.read(first)


class Away:
    """A store that does not take what is uploaded, once."""

    def __init__(self, store: Store) -> None:
        self._store, self.fails = store, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def upload(self, path: Path, key: str, content_type: str = "") -> None:
        if self.fails:
            self.fails = False
            raise UnavailableError("away")
        self._store.upload(path, key, content_type)


def test_pictures_that_did_not_come_with_one_page_come_with_the_next(made: MadeRun) -> None:
    store: Any = Away(made.store)
    reporter = Reporter(store, made.run)

    with pytest.raises(UnavailableError):
        reporter.write()
    reporter.write()

    page = made.read(keys.report(made.run.id) + "index.html")
    shown = set(re.findall(r'src="(thumbs/[^"]+)"', page))
    assert shown
    assert all(made.store.stat(keys.report(made.run.id) + name) for name in shown)


class Waited(threading.Event):
    """Time that passes at once; ends after three pauses."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0.0)
        return len(self.pauses) == 3


def test_a_page_that_takes_long_is_followed_by_a_longer_pause(made: MadeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.1, 100.0, 107.0])  # a page of a tenth of a second, and one of seven
    monkeypatch.setattr(reporting, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(Reporter, "write", lambda _: None)
    over = Waited()

    reporting._report(made.store, made.run, over)

    assert over.pauses == [60, 60, 350]


@pytest.mark.parametrize("error", [UnavailableError("away"), OSError("disk full")])
def test_what_goes_wrong_with_a_page_is_tried_again_and_costs_the_run_nothing(
    made: MadeRun, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: Reporter) -> None:
        raise error

    monkeypatch.setattr(Reporter, "write", fail)
    over = Waited()

    reporting._report(made.store, made.run, over)

    assert len(over.pauses) == 3
