"""list: what is found, what is left out because it is done, and how the rest is cut."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.list import List
from imgflow_steps.list.survey import survey
from imgflow_steps.list.work import run
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.listing import read_listing, read_manifest
from imgflow_steps.records.row import Entry, Row, Status
from imgflow_steps.records.rows import write_part
from imgflow_steps.records.run import Run
from imgflow_steps.store import Store, StoredObject, inside, open_store

BEGIN = b"\xff\xd8\xff\xe0"  # of a JPEG
PIPELINE = parse({"steps": ["grayscale"]})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def put(store: Store, *images: str, municipality: str = "Demo") -> dict[str, str]:
    """Write files of one byte; gives the version of each."""
    prefix = keys.images(municipality)
    for image in images:
        store.write(prefix + image, b"x")
    return {found.key.removeprefix(prefix): found.version for found in store.entries(prefix)}


def asked(name: str = "now", *, created: float = 0, source: str = "", **parameters: object) -> Run:
    listing = List.model_validate(parameters)
    return Run(id=name, municipality="Demo", pipeline=PIPELINE, list=listing, created=created, source=source)


def manifests(store: Store, of: Run) -> list[list[Entry]]:
    listing = read_listing(store, of.id)
    assert listing
    return [read_manifest(store, of.id, shard) for shard in range(listing.shards)]


def todo(store: Store, of: Run) -> list[str]:
    return [entry.image for shard in manifests(store, of) for entry in shard]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_every_image_is_in_one_manifest_in_the_order_of_its_bytes(store: Store, size: int) -> None:
    names = ["b.jpg", "a/ö.jpg", "a/z.jpg", "a.jpg", "ä.jpg", "Z.jpg", "line\nbreak.jpg"]
    versions = put(store, *names)

    listing = run(store, asked(shard_size=size))

    shards = manifests(store, asked())
    entries = [entry for shard in shards for entry in shard]
    assert [entry.image for entry in entries] == sorted(names, key=str.encode)
    assert {entry.image: entry.version for entry in entries} == versions
    assert {len(shard) for shard in shards[:-1]} <= {size}
    assert (listing.listed, listing.todo, listing.bytes) == (7, 7, 7)


def test_listed_are_images_by_their_suffix_or_first_bytes_and_the_rest_is_counted(store: Store) -> None:
    put(store, "a.JPG", "b.tiff", "key", "notes.txt", "a.jpg.part", ".hidden.jpg", ".aws/credentials", "old.txt")
    store.write(keys.images("Demo") + "scan-17", BEGIN)
    store.write(keys.images("Demo") + "empty", b"")

    listing = run(store, asked())

    assert todo(store, asked()) == ["a.JPG", "b.tiff", "scan-17"]
    assert (listing.listed, listing.other) == (3, 7)
    assert listing.unlisted == {".part": 1, "hidden": 2, "without a suffix": 2, ".txt": 2}


def test_many_images_without_a_suffix_are_listed_in_the_order_of_their_keys(store: Store) -> None:
    for number in range(600):
        name = f"{number:03d}" if number % 2 else f"{number:03d}.jpg"
        store.write(keys.images("Demo") + name, BEGIN if number % 3 else b"text")

    listing = run(store, asked())

    expected = [n for n in range(600) if n % 2 == 0 or n % 3]
    assert todo(store, asked()) == [f"{n:03d}" if n % 2 else f"{n:03d}.jpg" for n in expected]
    assert listing.unlisted == {"without a suffix": 100}


def test_a_municipality_never_sees_one_whose_name_begins_the_same(store: Store) -> None:
    put(store, "mine.jpg")
    put(store, "other.jpg", municipality="Demo-2")

    run(store, asked())

    assert todo(store, asked()) == ["mine.jpg"]


def test_photographs_that_lie_elsewhere_are_listed_there(store: Store, tmp_path: Path) -> None:
    elsewhere = open_store(str(tmp_path / "elsewhere"))
    elsewhere.write("a/1.jpg", b"x")

    of = asked(source=elsewhere.url)
    run(store, of)

    assert todo(store, of) == ["a/1.jpg"]


def known(store: Store, image: str, version: str, status: Status, *, by: str, ended: float) -> None:
    row = Row(
        image=image, version=version, status=status, run=by, ended=ended, code="some" if status != "processed" else ""
    )
    write_part(store, asked().rows, [row])


def test_what_is_done_is_left_out_and_told_apart_by_who_did_it(store: Store) -> None:
    now = time.time()
    versions = put(store, *(f"{name}.jpg" for name in ("cached", "mine", "rejected", "failed", "changed", "new")))
    known(store, "cached.jpg", versions["cached.jpg"], Status.PROCESSED, by="before", ended=now)
    known(store, "mine.jpg", versions["mine.jpg"], Status.PROCESSED, by="now", ended=now)
    known(store, "rejected.jpg", versions["rejected.jpg"], Status.REJECTED, by="before", ended=now)
    known(store, "failed.jpg", versions["failed.jpg"], Status.FAILED, by="before", ended=now)
    known(store, "changed.jpg", "an older version", Status.PROCESSED, by="before", ended=now)

    listing = run(store, asked())

    assert todo(store, asked()) == ["changed.jpg", "failed.jpg", "new.jpg"]
    assert (listing.listed, listing.todo, listing.cached, listing.processed, listing.rejected) == (6, 3, 1, 1, 1)


def test_rejected_images_are_asked_again_once_when_that_was_asked_for(store: Store) -> None:
    now = time.time()
    versions = put(store, "before.jpg", "since.jpg")
    known(store, "before.jpg", versions["before.jpg"], Status.REJECTED, by="before", ended=now - 10)
    known(store, "since.jpg", versions["since.jpg"], Status.REJECTED, by="now", ended=now + 10)

    of = asked(created=now, retry="rejected")
    run(store, of)

    assert todo(store, of) == ["before.jpg"]


def test_a_name_that_can_never_be_processed_is_listed_with_its_problem(store: Store, tmp_path: Path) -> None:
    prefix = tmp_path / "store" / keys.images("Demo")
    prefix.mkdir(parents=True)
    (prefix / "\udcff.jpg").write_bytes(b"x")
    put(store, "fine.jpg")

    listing = run(store, asked())

    problems = {entry.image: entry.problem for shard in manifests(store, asked()) for entry in shard}
    assert listing.listed == 2
    assert problems["fine.jpg"] == ""
    assert problems["\\udcff.jpg"] == "its name is not valid UTF-8"


def test_a_survey_says_the_same_and_writes_nothing(store: Store) -> None:
    put(store, "1.jpg", "2.jpg", "3.jpg")
    before = [found.key for found in store.entries()]

    told, _ = survey(store, asked(shard_size=2))

    assert [found.key for found in store.entries()] == before
    untimed = {"seconds": 0, "ended": 0}
    assert told.model_copy(update=untimed) == run(store, asked(shard_size=2)).model_copy(update=untimed)


def test_nothing_to_do_gives_no_shard(store: Store) -> None:
    listing = run(store, asked())

    assert (listing.listed, listing.todo, listing.shards) == (0, 0, 0)


def test_what_an_earlier_attempt_said_of_its_end_and_progress_is_gone(store: Store) -> None:
    put(store, "1.jpg")
    stale = [keys.summary_json("now"), keys.shard_progress("now", 1, 0)]
    for key in stale:
        store.write(key, b"{}")

    run(store, asked())

    assert [key for key in stale if store.stat(key)] == []


@pytest.mark.parametrize(("images", "samples", "marked"), [(40, 8, 8), (5, 120, 5), (5, 0, 0)])
def test_images_for_the_report_are_marked_evenly(store: Store, images: int, samples: int, marked: int) -> None:
    put(store, *(f"{i:03d}.jpg" for i in range(images)))

    run(store, asked(samples=samples, shard_size=10))

    shards = manifests(store, asked())
    counts = [sum(entry.sampled for entry in shard) for shard in shards]
    assert sum(counts) == marked
    assert max(counts) - min(counts) <= (1 if images == 40 else marked)


def test_all_images_are_marked_where_thumbnails_of_all_are_asked_for(store: Store) -> None:
    put(store, *(f"{i:03d}.jpg" for i in range(25)))

    run(store, asked(samples=2, thumbnails="all", shard_size=10))

    assert [entry.sampled for shard in manifests(store, asked()) for entry in shard] == [True] * 25


def test_a_source_that_holds_the_store_gives_its_photographs_and_no_results(tmp_path: Path) -> None:
    source, store = open_store(str(tmp_path)), open_store(str(tmp_path / "all of it"))
    for name in ("a.jpg", "all of it.jpg", "all of it/results/Demo/0/images/a.jpg.jpg", "all.jpg"):
        source.write(name, b"x")

    listing = run(store, asked(source=source.url))

    assert todo(store, asked()) == ["a.jpg", "all of it.jpg", "all.jpg"]
    assert (listing.listed, listing.other) == (3, 0)


def test_the_store_itself_is_no_source_but_what_lies_in_it_can_be(store: Store) -> None:
    put(store, "a.jpg")

    with pytest.raises(BadParametersError, match="is the store itself"):
        run(store, asked(source=store.url))

    assert run(store, asked(source=f"{store.url}/datasets")).listed == 1


@pytest.mark.parametrize(
    ("url", "outer", "prefix"),
    [
        ("s3://bucket/a/b", "s3://bucket/a", "b/"),
        ("s3://bucket/a", "s3://bucket", "a/"),
        ("s3://bucket/a", "s3://bucket/a", ""),
        ("s3://bucket/ab", "s3://bucket/a", None),
        ("s3://bucket", "s3://bucket/a", None),
        ("./x/../y", ".", "y/"),
        ("/", "s3://bucket", None),
    ],
)
def test_one_store_can_lie_inside_another(
    url: str, outer: str, prefix: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "anything")

    assert inside(open_store(url), open_store(outer)) == prefix


class Endless:
    """A real store in which a listing never seems to end."""

    def __init__(self, store: Store, count: int) -> None:
        self._store, self._count = store, count

    def entries(self, prefix: str = "") -> Iterator[StoredObject]:
        if not prefix.startswith("datasets/"):
            return self._store.entries(prefix)
        return (StoredObject(f"{prefix}{i:09d}.jpg", "v1", 1000) for i in range(self._count))

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_twenty_times_as_many_images_are_listed_and_cut_in_the_same_memory(store: Store) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            listing, _ = survey(Endless(store, count), asked(shard_size=100))  # type: ignore[arg-type]  # a store
            assert listing.todo == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(1_000), peak(20_000)

    assert many < few + 1_500_000  # bytes; pydantic remembers some thousand strings, and entries would be ten million
