"""What only a directory can do: links, odd files, odd rights, full disks, very many names."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from imgflow_steps.store import (
    ChangedError,
    DeniedError,
    KeyRefusedError,
    NotFoundError,
    Store,
    UnavailableError,
    UnwritableError,
    leftovers,
    open_store,
    walk,
)
from imgflow_steps.store.versions import copied, etag_of


@pytest.fixture
def root(directory_store: Store) -> Path:
    directory_store.write("a/1", b"one")
    return Path(directory_store.url)


def listed(store: Store, prefix: str = "") -> list[str]:
    return [found.key for found in store.entries(prefix)]


def test_links_to_files_and_folders_are_followed(directory_store: Store, root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "2").write_bytes(b"two")
    (root / "b").symlink_to(elsewhere)
    (root / "c").symlink_to(root / "a" / "1")

    assert listed(directory_store) == ["a/1", "b/2", "c"]
    assert directory_store.read("b/2") == b"two"


def test_links_in_a_circle_and_to_nowhere_end_nowhere(directory_store: Store, root: Path) -> None:
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to("self")
    (root / "a" / "nowhere").symlink_to("gone")

    assert listed(directory_store) == ["a/1"]
    assert listed(directory_store, "a/") == ["a/1"]
    assert list(directory_store.folders("a/")) == []


def test_names_that_are_not_utf8_are_listed_in_their_place(directory_store: Store, root: Path) -> None:
    for name in (b"\xff", b"b\xe5", b"z"):
        (root / os.fsdecode(name)).write_bytes(b"x")

    assert listed(directory_store) == ["a/1", "b\udce5", "z", "\udcff"]
    with pytest.raises(KeyRefusedError, match="UTF-8"):
        directory_store.read("\udcff")


def test_pipes_and_folders_are_no_objects(directory_store: Store, root: Path) -> None:
    os.mkfifo(root / "pipe")

    assert listed(directory_store) == ["a/1"]
    assert directory_store.stat("pipe") is None
    with pytest.raises(NotFoundError, match="pipe"):
        directory_store.read("pipe")


def test_more_names_than_memory_should_hold_are_sorted_all_the_same(
    directory_store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{i * 7919 % 1000:03d}\n" for i in range(1000)]
    for name in names:
        (root / name).touch()
    monkeypatch.setattr(walk, "NAMES", 64)

    assert listed(directory_store) == [*sorted(names), "a/1"]


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_listing(tmp_path: Path) -> None:
    code = (
        "import sys, tracemalloc; from imgflow_steps.store import open_store, walk\n"
        "walk.NAMES = 500; store = open_store(sys.argv[1]); list(store.entries('few/')); tracemalloc.start()\n"
        "print(sum(1 for _ in store.entries('many/')), tracemalloc.get_traced_memory()[1])"
    )
    for folder, count in (("few", 10), ("many", 8000)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            (tmp_path / folder / f"{i:0100d}").touch()
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    count, peak = map(int, done.stdout.split())

    assert count == 8000
    assert peak < 8000 * 100  # the names alone would take more


def test_what_vanishes_during_a_listing_is_left_out(directory_store: Store, root: Path) -> None:
    for key in ("b/1", "b/2", "c/1"):
        directory_store.write(key, b"x")
    entries = directory_store.entries()
    seen = [next(entries).key, next(entries).key]
    directory_store.delete(["b/2", "c/1"])

    assert seen + [found.key for found in entries] == ["a/1", "b/1"]


def test_deleting_removes_folders_that_it_leaves_empty(directory_store: Store, root: Path) -> None:
    directory_store.write("x/y/z/1", b"")
    directory_store.write("x/2", b"")
    directory_store.delete(["x/y/z/1", "a/1"])

    assert sorted(p.name for p in root.iterdir()) == [".tmp", "x"]
    assert [p.name for p in (root / "x").iterdir()] == ["2"]


def test_a_name_cannot_be_a_file_and_a_folder(directory_store: Store, root: Path) -> None:
    for key in ("a", "a/1/2", "a/1/2/3"):
        with pytest.raises(KeyRefusedError, match=repr(key)):
            directory_store.write(key, b"x")
    assert listed(directory_store) == ["a/1"]
    assert list((root / ".tmp").iterdir()) == []


def test_unfinished_files_cannot_be_named(directory_store: Store, root: Path) -> None:
    for use in (directory_store.read, directory_store.stat, lambda key: list(directory_store.entries(f"{key}/"))):
        with pytest.raises(KeyRefusedError):
            use(".tmp")
    directory_store.write("x/.tmp/y", b"allowed further down")
    assert listed(directory_store, "x/") == ["x/.tmp/y"]


def test_what_killed_writers_left_is_removed_after_a_day(directory_store: Store, root: Path) -> None:
    for name, age in (("old", 2 * 24 * 3600), ("young", 60)):
        part = root / ".tmp" / name
        part.touch()
        os.utime(part, (time.time() - age,) * 2)
    open_store(directory_store.url).write("a/2", b"")

    assert listed(directory_store) == ["a/1", "a/2"]
    assert [p.name for p in (root / ".tmp").iterdir()] == ["young"]


def test_a_copy_of_an_old_photograph_that_is_on_its_way_is_not_swept(directory_store: Store, root: Path) -> None:
    part = root / ".tmp" / leftovers.part()
    part.touch()
    os.utime(part, (1_000_000_000,) * 2)

    open_store(directory_store.url).write("a/2", b"")

    assert part.exists()


def test_a_file_that_changes_while_it_is_read_is_not_taken_for_whole(
    directory_store: Store, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy_and_touch(source: object, target: object, length: int) -> None:
        os.utime(root / "a" / "1")

    monkeypatch.setattr("shutil.copyfileobj", copy_and_touch)
    with pytest.raises(ChangedError, match="'a/1'"):
        directory_store.download("a/1", tmp_path / "copy")
    with pytest.raises(ChangedError, match="copy it again"):
        directory_store.upload(root / "a" / "1", "a/2")
    assert not (tmp_path / "copy").exists()
    assert listed(directory_store) == ["a/1"]


def test_a_file_that_is_replaced_while_it_is_read_is_read_whole(
    directory_store: Store, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, copied_whole = (root / "a" / "1").read_bytes(), shutil.copyfileobj

    def copy_and_replace(source: IO[bytes], target: IO[bytes], length: int) -> None:
        copied_whole(source, target, length)
        time.sleep(0.02)  # longer than a tick of the file system's clock
        (root / "new").write_bytes(b"new")
        (root / "new").replace(root / "a" / "1")

    monkeypatch.setattr("shutil.copyfileobj", copy_and_replace)
    directory_store.download("a/1", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == old
    assert directory_store.read("a/1") == b"new"


def test_an_uploaded_copy_has_the_time_of_the_file_and_an_inode_of_its_own(
    directory_store: Store, root: Path, tmp_path: Path
) -> None:
    open_store(str(root)).upload(root / "a" / "1", "copy")
    original, copy = directory_store.stat("a/1"), directory_store.stat("copy")

    assert original
    assert copy
    assert copied(copy.version) == copied(original.version)
    assert copy.version != original.version


def test_a_file_that_takes_the_place_of_another_is_another_version(directory_store: Store, root: Path) -> None:
    path = root / "a" / "1"
    before, status = directory_store.stat("a/1"), path.stat()
    path.rename(root / "a" / "2")
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    after = directory_store.stat("a/1")

    assert before
    assert after
    assert (after.bytes, copied(after.version)) == (before.bytes, copied(before.version))
    assert after.version != before.version
    with pytest.raises(ChangedError):
        directory_store.read("a/1", before.version)


def test_a_file_is_read_by_its_content_where_that_is_its_version(directory_store: Store, root: Path) -> None:
    path = root / "a" / "1"
    with path.open("rb") as file:
        version = etag_of(file)
    path.touch()

    assert directory_store.read("a/1", version) == path.read_bytes()
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(ChangedError):
        directory_store.read("a/1", version)


@pytest.mark.parametrize(
    ("code", "kind", "word"),
    [
        (errno.ENOSPC, UnwritableError, "free some space"),
        (errno.EDQUOT, UnwritableError, "quota"),
        (errno.EFBIG, UnwritableError, "ulimit -f"),
        (errno.EIO, UnavailableError, "check the disk"),
        (errno.EROFS, DeniedError, "right"),
        (errno.EACCES, DeniedError, "right"),
    ],
)
def test_a_disk_that_refuses_is_named_with_the_key(
    directory_store: Store, root: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception], word: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(kind, match=rf"'a/2'.*{word}"):
        directory_store.write("a/2", b"x")
    assert list((root / ".tmp").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything; run the tests as another user")
def test_a_folder_that_may_not_be_read_stops_the_listing(directory_store: Store, root: Path) -> None:
    (root / "a").chmod(0)
    try:
        with pytest.raises(DeniedError, match="a"):
            listed(directory_store)
    finally:
        (root / "a").chmod(0o755)


def test_where_a_copy_has_no_room_its_own_path_is_named(
    directory_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    directory_store.write("a/1", b"x")
    monkeypatch.setattr("shutil.copyfileobj", refuse)

    with pytest.raises(UnavailableError, match=f"cannot write {tmp_path}/copy: No space left on device; free some"):
        directory_store.download("a/1", tmp_path / "copy")


def test_a_real_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    code = (
        "import resource, signal, sys; from imgflow_steps.store import open_store, StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: open_store(sys.argv[1]).write('a', bytes(2000))\n"
        "except StoreError as error: print(type(error).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)

    assert done.stdout == "UnwritableError\n"
    assert listed(store) == []
    assert list((tmp_path / ".tmp").iterdir()) == []
