"""A whole run against a store that errs: each fault at every request, once and for ever, and what a retry makes of it.

Afterwards every image is there once, with the bytes that it has without faults, or it failed and says why.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from tests import photographs, servers
from tests.conftest import has_minio
from tests.local_runs import PLAIN, dataset, pictures
from tests.thorough import mostly_thorough

from imgflow_steps.list import List
from imgflow_steps.records import keys
from imgflow_steps.records.results import read_jsonl
from imgflow_steps.records.row import Row, Status
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import Summary, read_summary
from imgflow_steps.store import Store, StoreError, UnavailableError, open_store
from imgflow_workflows.engines.local import LocalEngine

IMAGES = 4
RUN = Run(id="erring", municipality="Demo", pipeline=PLAIN, list=List(shard_size=2, samples=0))
ONCE = ["503", "html", "page", "drop", "reset", "cut", "short", "flip", "changed", "again", "tokenless"]
LISTING, IMAGE = r"GET .*list-type=2", r"GET .*/datasets/Demo/images/b/001.jpg"


class Erring(NamedTuple):
    """A store behind a proxy that commands and computing processes use, and the same one without it."""

    store: Store
    proxy: servers.Proxy
    direct: Store


@pytest.fixture(scope="module")
def right() -> dict[str, str]:
    """What the pictures are without any fault."""
    with TemporaryDirectory() as folder:
        store = open_store(folder)
        dataset(store, IMAGES)
        submit(store)
        return pictures(store, RUN.id)


@pytest.fixture(params=[pytest.param("minio", marks=pytest.mark.minio) if has_minio() else "moto"])
def erring(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Erring]:
    server: servers.Server = request.getfixturevalue(f"{request.param}_server")
    proxy = servers.Proxy(server)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    direct = open_store(server.new_bucket())
    dataset(direct, IMAGES)
    for name, value in server.behind(proxy).environment.items():
        monkeypatch.setenv(name, value)
    yield Erring(open_store(direct.url), proxy, direct)
    proxy.close()


def submit(store: Store) -> None:
    save(store, run := RUN.model_copy(update={"created": time.time()}))
    LocalEngine(store, workers=1).submit(run)


def summary(store: Store) -> Summary:
    found = read_summary(store, RUN.id)
    assert found
    assert found.counts.add_up
    assert found.counts.listed == IMAGES
    return found


def verdicts(store: Store, folder: Path) -> list[Row]:
    store.download(keys.results_jsonl(RUN.id), folder / "verdicts")
    return list(read_jsonl(folder / "verdicts"))


def at_first(fault: str) -> Callable[[str, str], str]:
    """A rule that spoils whatever is asked for, the first time that it is."""
    asked: Counter[str] = Counter()

    def rule(method: str, path: str) -> str:
        name = f"{method} {re.sub('[0-9a-f]{32}', '', path)}"
        asked[name] += 1
        return fault if asked[name] == 1 else ""

    return rule


def always(fault: str, what: str) -> Callable[[str, str], str]:
    """A rule that spoils all that is asked for and looks so."""
    return lambda method, path: fault if re.search(what, f"{method} {path}") else ""


@pytest.mark.parametrize("fault", mostly_thorough(ONCE, ["flip"]))
def test_a_fault_that_passes_changes_nothing_wherever_it_comes(
    erring: Erring, right: dict[str, str], fault: str, tmp_path: Path
) -> None:
    erring.proxy.rule = at_first(fault)
    submit(erring.store)

    assert erring.proxy.spoilt > 20
    assert summary(erring.direct).counts.processed == IMAGES
    assert pictures(erring.direct, RUN.id) == right
    assert [row.status for row in verdicts(erring.direct, tmp_path)] == [Status.PROCESSED] * IMAGES


LASTING = {
    "an image flips": ("flip", IMAGE),
    "an image is short": ("short", IMAGE),
    "an image is cut": ("cut", IMAGE),
    "an image is a page": ("page", IMAGE),
    "an image cannot be had": ("503", IMAGE),
    "an image resets": ("reset", IMAGE),
    "every image flips": ("flip", r"GET .*/datasets/Demo/images/.*jpg"),
    "pictures change on their way": ("changed", r"PUT .*/results/Demo/.*/images/"),
    "pictures get a page": ("page", r"PUT .*/results/Demo/.*/images/"),
    "pictures are refused": ("503", r"PUT .*/results/Demo/.*/images/"),
    "rows are dropped": ("drop", r"PUT .*/results/Demo/.*/rows/"),
    "progress is refused": ("503", r"PUT .*/runs/erring/progress/"),
    "the listing of images is a page": ("page", LISTING + ".*datasets"),
    "the listing of images is empty and goes on": ("empty", LISTING + ".*datasets"),
    "the listing of rows is short": ("short", LISTING + ".*rows"),
    "the run flips": ("flip", r"GET .*/runs/erring/run.json"),
    "the listing flips": ("flip", r"GET .*/runs/erring/listing.jsonl"),
    "manifests are short": ("short", r"GET .*/runs/erring/shards/"),
    "the summary is dropped": ("drop", r"PUT .*/runs/erring/summary.json"),
    "deleting gets a page": ("page", r"POST .*delete"),
}


@pytest.mark.parametrize("case", mostly_thorough(LASTING, ["an image flips"]))
def test_a_fault_that_stays_costs_what_it_is_about_and_a_retry_finishes(
    erring: Erring, right: dict[str, str], case: str, tmp_path: Path
) -> None:
    erring.proxy.rule = always(*LASTING[case])
    said = ""
    try:
        submit(erring.store)
    except StoreError as error:
        said = str(error)
    assert erring.proxy.spoilt > 2

    if read_summary(erring.direct, RUN.id):
        assert summary(erring.direct).counts.rejected == 0
        for row in verdicts(erring.direct, tmp_path):
            assert row.status is Status.PROCESSED or (row.status, bool(row.message)) == (Status.FAILED, True)
    else:
        assert "bucket test-" in said
    assert pictures(erring.direct, RUN.id).items() <= right.items()
    if case == "an image flips":
        failed = [row for row in verdicts(erring.direct, tmp_path) if row.status is Status.FAILED]
        assert [(row.image, row.code) for row in failed] == [("b/001.jpg", "unreadable")]
        assert re.search("another (MD5|CRC32)", failed[0].message)

    erring.proxy.rule = lambda _method, _path: ""
    submit(erring.store)
    assert summary(erring.direct).counts.processed == IMAGES
    assert pictures(erring.direct, RUN.id) == right


@pytest.mark.thorough
def test_a_store_that_goes_away_ends_the_run_soon_and_a_retry_finishes(erring: Erring, right: dict[str, str]) -> None:
    many = [f"more/{i:02d}.jpg" for i in range(30)]
    for name in many:
        erring.direct.write(keys.images("Demo") + name, photographs.jpeg(0))
    erring.proxy.rule = lambda _method, _path: "drop" if len(erring.proxy.requests) > 60 else ""
    with pytest.raises(UnavailableError, match=r"bucket test-.*check that the server runs"):
        submit(erring.store)
    assert len(erring.proxy.requests) < 250  # each of 17 shards would ask thrice, and all of its requests again

    erring.proxy.rule = lambda _method, _path: ""
    submit(erring.store)
    found = read_summary(erring.direct, RUN.id)
    assert found
    assert (found.counts.processed, found.counts.failed) == (IMAGES + len(many), 0)
    assert right.items() <= pictures(erring.direct, RUN.id).items()
