"""Photographs from a directory into a dataset: each once, and again only what is missing."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.admission import admission
from imgflow_steps.store import KeyRefusedError, Store, UnavailableError, open_store
from imgflow_workflows.ingest.folder import Folder
from imgflow_workflows.results.skips import SkipReason
from imgflow_workflows.transfer.copying import IngestSummary, ingest

BEGIN = b"\xff\xd8\xff"  # of a JPEG: what has no suffix is known by it


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "photos"
    for name in ("1.jpg", "2022/Östra/å %2F.JPG", "2022/x.png", "no suffix", "-/+.webp"):
        put(source, name, BEGIN + name.encode())
    return source


def put(source: Path, name: str, data: bytes) -> Path:
    path = source / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def run(source: Path, store: Store, municipality: str = "Utrecht") -> IngestSummary:
    return ingest(Folder(source), store, municipality, workers=4, tell=lambda progress: None)


def dataset(store: Store, municipality: str = "Utrecht") -> dict[str, bytes]:
    prefix = keys.images(municipality)
    return {found.key.removeprefix(prefix): store.read(found.key) for found in store.entries(prefix)}


def on_disk(source: Path) -> dict[str, bytes]:
    return {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*") if path.is_file()}


def test_every_image_is_copied_under_its_own_path(store: Store, source: Path) -> None:
    told: list[int] = []

    def tell(progress: IngestSummary) -> None:
        told.append(progress.copied)

    summary = ingest(Folder(source), store, "Östra Göinge", workers=3, tell=tell)

    assert dataset(store, "Östra Göinge") == on_disk(source)
    assert (summary.copied, summary.present, summary.refusals) == (5, 0, [])
    assert summary.bytes == sum(map(len, on_disk(source).values()))
    assert told == [1, 2, 3, 4, 5]


def test_what_lies_there_already_is_not_copied_again(store: Store, source: Path) -> None:
    run(source, store)
    before = list(store.entries())
    again = run(source, store)

    assert (again.copied, again.present, again.bytes) == (0, 5, 0)
    assert list(store.entries()) == before


def test_what_is_missing_or_has_changed_is_copied(store: Store, source: Path) -> None:
    run(source, store)
    store.delete([keys.images("Utrecht") + "1.jpg"])
    status = (source / "no suffix").stat()
    put(source, "no suffix", BEGIN + b"NO SUFFIX")  # the same size, later
    os.utime(source / "no suffix", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    put(source, "2022/x.png", b"another size")
    again = run(source, store)

    assert (again.copied, again.present) == (3, 2)
    assert dataset(store) == on_disk(source)


def test_a_file_of_several_parts_is_known_again(store: Store, tmp_path: Path) -> None:
    put(tmp_path / "in", "big.tif", bytes(17 << 20))

    assert run(tmp_path / "in", store).copied == 1
    assert run(tmp_path / "in", store).present == 1


def test_nothing_in_the_dataset_is_ever_deleted(store: Store, source: Path) -> None:
    run(source, store)
    whole = dataset(store)
    (source / "1.jpg").unlink()
    run(source, store)

    assert dataset(store) == whole


def test_what_cannot_be_an_image_is_refused_with_its_reason(store: Store, source: Path) -> None:
    put(source, "notes.txt", b"text")
    put(source, ".DS_Store", b"x")
    put(source, ".aws/credentials", b"secret")
    put(source, "id_rsa", b"secret")
    put(source, "a/@eaDir/1.jpg", b"x")
    put(source, "a/2.PSD", b"x")
    put(source, "a/3.psd", b"x")
    put(source, "empty.jpg", b"")
    put(source, os.fsdecode(b"b\xe5d.jpg"), b"x")
    put(source, "/".join(["deep" * 40] * 6) + "/x.jpg", b"x")
    summary = run(source, store)

    assert summary.copied == 5
    assert summary.refused == {
        SkipReason.NOT_AN_IMAGE: 4,
        SkipReason.HIDDEN: 3,
        SkipReason.EMPTY: 1,
        SkipReason.NAME: 2,
    }
    assert summary.left_out == {".txt": 1, "hidden": 3, "without a suffix": 1, ".psd": 2}
    assert sum(summary.refused.values()) == len(summary.refusals)
    by_path = {refusal.path: refusal for refusal in summary.refusals}
    assert "UTF-8" in by_path["b\udce5d.jpg"].message
    assert by_path["empty.jpg"].reason is SkipReason.EMPTY


def test_links_out_of_the_folder_pipes_and_what_cannot_be_read_do_not_end_the_rest(
    directory_store: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = put(source.parent, "private/p.jpg", b"x")
    (source / "link.jpg").symlink_to(outside)
    (source / "folder").symlink_to(outside.parent)
    (source / "same.jpg").symlink_to("1.jpg")
    os.mkfifo(source / "pipe.jpg")
    put(source, "locked/x.jpg", b"x")
    scan = os.scandir

    def refuse(path: str | bytes | int) -> object:
        if isinstance(path, bytes) and path.rstrip(b"/").endswith(b"locked"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    summary = run(source, directory_store)

    assert (summary.copied, summary.refused) == (
        6,
        {SkipReason.LINK: 2, SkipReason.SPECIAL: 1, SkipReason.UNREADABLE: 1},
    )
    assert {refusal.path for refusal in summary.refusals} == {"link.jpg", "folder", "pipe.jpg", "locked"}
    followed = ingest(Folder(source, follow=True), directory_store, "Utrecht", tell=lambda _: None)
    assert (followed.copied, followed.refused) == (2, {SkipReason.SPECIAL: 1, SkipReason.UNREADABLE: 1})


def test_patterns_and_an_ignore_file_choose_what_is_copied(directory_store: Store, source: Path) -> None:
    put(source, ".imgflowignore", b"2022/\n")
    put(source, ".kept/y.jpg", b"x")

    rules = admission(["*.jpg", ".kept/"], ["1.*"])
    summary = ingest(Folder(source, rules), directory_store, "Utrecht", tell=lambda _: None)

    assert list(dataset(directory_store)) == [".kept/y.jpg"]
    assert summary.left_out == {"excluded": 6}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), SkipReason.UNREADABLE),
        (FileNotFoundError(2, "No such file"), SkipReason.UNREADABLE),
        (KeyRefusedError("no"), SkipReason.NAME),
    ],
)
def test_one_file_that_fails_does_not_stop_the_others(
    directory_store: Store, source: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: SkipReason
) -> None:
    upload = type(directory_store).upload

    def fail_for_one(self: Store, path: Path, key: str, content_type: str = "") -> None:
        if path.name == "x.png":
            raise error
        upload(self, path, key, content_type)

    monkeypatch.setattr(type(directory_store), "upload", fail_for_one)
    summary = run(source, directory_store)

    assert (summary.copied, summary.refused) == (4, {reason: 1})
    assert summary.refusals[0].path == "2022/x.png"


def test_a_store_that_fails_stops_it_naming_the_file(
    directory_store: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise UnavailableError("the disk is full")

    monkeypatch.setattr(type(directory_store), "upload", fail)
    with pytest.raises(UnavailableError, match=r"-/\+\.webp is not copied: the disk is full"):
        run(source, directory_store)


def test_a_store_inside_the_source_is_left_alone(source: Path) -> None:
    store = open_store(str(source / ".imgflow"))
    photos = on_disk(source)

    assert run(source, store).copied == 5
    assert run(source, store).present == 5
    assert dataset(store) == photos


def test_a_dataset_is_never_copied_into_itself(tmp_path: Path, source: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    run(source, store)
    inside = Path(store.url) / keys.images("Utrecht")
    for directory in (inside, inside / "2022", Path(store.url), Path(store.url) / "datasets"):
        with pytest.raises(BadParametersError, match="overlap: one contains the other"):
            run(directory, store)

    assert run(inside, store, "Houten").copied == 5


def test_a_source_that_is_no_directory_is_refused_by_name(directory_store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadParametersError, match="absent"):
        run(tmp_path / "absent", directory_store)


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_number_of_files(directory_store: Store, tmp_path: Path) -> None:
    source = tmp_path / "many"
    for i in range(3000):
        put(source, f"{i % 30}/{'n' * 200}{i}.jpg", b"x")
        put(source, f"{i % 30}/{'n' * 200}{i}.txt", b"x")
    run(source, directory_store)
    tracemalloc.start()
    try:
        again = run(source, directory_store)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (again.present, again.refused[SkipReason.NOT_AN_IMAGE], len(again.refusals)) == (3000, 3000, 100)
    assert peak < 1_000_000  # the names alone would take more
