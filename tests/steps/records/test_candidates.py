"""What of a folder, that may hold anything, is listed: rules, links, pipes, and what cannot be read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from imgflow_steps.collect.work import judge_run
from imgflow_steps.contract.job import Counts, Exit
from imgflow_steps.list import List
from imgflow_steps.list.work import run as list_images
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing, read_manifest
from imgflow_steps.records.run import Run
from imgflow_steps.store import DeniedError, Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "photos"


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def listed(store: Store, source: Path | str, **rules: str) -> tuple[list[str], Listing]:
    """The images of a source, and what is told of the rest."""
    of = Run(
        id="now",
        municipality="Demo",
        pipeline=parse({"steps": ["grayscale"]}),
        list=List.model_validate(rules),
        source=str(source),
    )
    listing = list_images(store, of)
    return [entry.image for shard in range(listing.shards) for entry in read_manifest(store, "now", shard)], listing


def forbid(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Nobody may read these folders, not even root."""
    scan = os.scandir

    def refuse(path: str | bytes | int) -> object:
        if isinstance(path, bytes) and Path(os.fsdecode(path)) in folders:
            raise PermissionError(errno.EACCES, "Permission denied", os.fsdecode(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)


def test_patterns_and_an_ignore_file_choose_what_is_listed(store: Store, source: Path) -> None:
    put(*(source / name for name in ("a.jpg", "b.png", "old/c.jpg", "old/keep.jpg", ".thumbs/d.jpg", "raw/e.jpg")))
    (source / ".imgflowignore").write_bytes(b"\xef\xbb\xbfold/\r\n!keep.jpg\r\n")

    assert listed(store, source)[0] == ["a.jpg", "b.png", "old/keep.jpg", "raw/e.jpg"]
    assert listed(store, source, include="*.jpg", exclude="raw/,a.*")[0] == ["old/keep.jpg"]
    assert listed(store, source, include=".thumbs/")[0] == [".thumbs/d.jpg"]


def test_links_out_of_a_source_and_what_is_no_file_are_counted_and_not_followed(store: Store, source: Path) -> None:
    private = source.parent / "private"
    put(source / "a/1.jpg", private / "2.jpg")
    for link, target in {
        "inside.jpg": "a/1.jpg",
        "outside.jpg": private / "2.jpg",
        "folder": private,
        "nowhere.jpg": "gone.jpg",
        "zero.jpg": "/dev/zero",
        "a/self": "..",
    }.items():
        (source / link).symlink_to(target)
    os.mkfifo(source / "pipe.jpg")

    images, listing = listed(store, source)

    assert images == ["a/1.jpg", "inside.jpg"]
    assert listing.unlisted == {"links": 5, "devices or pipes": 1}

    images, listing = listed(store, source, links="all")

    assert images == ["a/1.jpg", "folder/2.jpg", "inside.jpg", "outside.jpg"]
    assert listing.unlisted == {"links": 2, "devices or pipes": 2}


def test_a_source_may_itself_be_a_link(store: Store, source: Path) -> None:
    put(source / "a/1.jpg")
    (source.parent / "linked").symlink_to(source)

    assert listed(store, source.parent / "linked")[0] == ["a/1.jpg"]


def test_links_in_the_store_itself_are_followed(store: Store, source: Path) -> None:
    put(source / "1.jpg")
    place = Path(store.url) / keys.images("Demo")
    place.parent.mkdir(parents=True)
    place.symlink_to(source)

    assert listed(store, "")[0] == ["1.jpg"]


def test_a_folder_that_cannot_be_read_is_told_and_does_not_end_the_rest(
    store: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(*(source / name for name in ("a/1.jpg", "locked/2.jpg", "lost+found/3.jpg", "z.jpg")))
    forbid(monkeypatch, source / "locked", source / "lost+found")

    images, listing = listed(store, source)

    assert images == ["a/1.jpg", "z.jpg"]
    assert listing.unlisted == {"unreadable": 1, "hidden": 1}
    assert listing.unreadable == ["locked"]


def test_a_folder_of_the_store_that_cannot_be_read_ends_the_listing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(Path(store.url) / keys.images("Demo") / "a/1.jpg")
    forbid(monkeypatch, Path(store.url) / keys.images("Demo") / "a")

    with pytest.raises(DeniedError):
        listed(store, "")


def test_a_run_whose_source_could_not_be_read_whole_fails_and_says_where(store: Store) -> None:
    of = Run(id="now", municipality="Demo", pipeline=parse({"steps": ["grayscale"]}))
    listing = Listing(listed=2, unlisted={"unreadable": 1, ".heic": 3}, unreadable=["locked"])

    code, message = judge_run(Counts(listed=2, processed=2), of, listing)

    assert code is Exit.IMAGES_FAILED
    assert "1 folders or files could not be read: locked; make them readable" in message


def test_a_run_that_lists_nothing_succeeds_and_says_so(store: Store) -> None:
    of = Run(id="now", municipality="Demo", pipeline=parse({"steps": ["grayscale"]}))

    code, message = judge_run(Counts(), of, Listing())

    assert (code, message) == (Exit.DONE, "nothing was listed: there is no image")
