"""What in an archive is not a file is never unpacked, and is counted."""

from __future__ import annotations

import errno
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests import photographs

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.store import Store
from imgflow_workflows.ingest.archive import Tar, Zip
from imgflow_workflows.results.skips import SkipReason
from imgflow_workflows.transfer.copying import IngestSummary, Source, ingest


def run(source: Source, store: Store) -> IngestSummary:
    return ingest(source, store, "Demo", workers=4, tell=lambda _: None)


def dataset(store: Store) -> set[str]:
    prefix = keys.images("Demo")
    return {found.key.removeprefix(prefix) for found in store.entries(prefix)}


def test_links_and_pipes_in_a_zip_are_refused_and_counted(directory_store: Store, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name, mode in {"1.jpg": 0o100644, "2.jpg": 0o120777, "3.jpg": 0o010644, "4.jpg": 0}.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, b"/etc/passwd")
        archive.writestr("__MACOSX/._1.jpg", b"x")

    summary = run(Zip(tmp_path / "photos.zip"), directory_store)

    assert dict(summary.refused) == {SkipReason.LINK: 1, SkipReason.SPECIAL: 1, SkipReason.HIDDEN: 1}
    assert dataset(directory_store) == {"1.jpg", "4.jpg"}


def test_devices_in_a_tar_are_counted(directory_store: Store, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        for name, kind in {"1.jpg": tarfile.REGTYPE, "2.jpg": tarfile.FIFOTYPE, "3.jpg": tarfile.CHRTYPE}.items():
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, 3 * (kind == tarfile.REGTYPE)
            archive.addfile(member, io.BytesIO(b"one"))

    summary = run(Tar(tmp_path / "photos.tar"), directory_store)

    assert dict(summary.refused) == {SkipReason.SPECIAL: 2}
    assert dataset(directory_store) == {"1.jpg"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("kind", [Zip, Tar])
def test_a_disk_that_is_full_where_an_archive_is_unpacked_is_not_the_photographs_fault(
    directory_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Zip | Tar], number: int
) -> None:
    path = tmp_path / f"photos.{kind.__name__.lower()}"
    if kind is Zip:
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.writestr("1.jpg", b"one")
    else:
        with tarfile.open(path, "w") as packed:
            member = tarfile.TarInfo("1.jpg")
            member.size = 3
            packed.addfile(member, io.BytesIO(b"one"))

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("imgflow_workflows.ingest.archive.shutil.copyfileobj", refuse)

    with pytest.raises(OSError, match=os.strerror(number)):
        run(kind(path), directory_store)


@pytest.mark.parametrize("name", ["a//1.jpg", "a/./1.jpg", "./a/1.jpg", ".//a/1.jpg"])
@pytest.mark.parametrize("kind", [Zip, Tar])
def test_a_member_is_named_as_the_file_that_it_becomes_when_it_is_unpacked(
    directory_store: Store, tmp_path: Path, kind: type[Zip | Tar], name: str
) -> None:
    path = tmp_path / "photos"
    if kind is Zip:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, photographs.jpeg(1))
    else:
        with tarfile.open(path, "w") as packed:
            member = tarfile.TarInfo(name)
            member.size = len(photographs.jpeg(1))
            packed.addfile(member, io.BytesIO(photographs.jpeg(1)))

    ingest(kind(path), directory_store, "Demo", tell=lambda _: None)

    assert [found.key for found in directory_store.entries("datasets/")] == ["datasets/Demo/images/a/1.jpg"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x28\xb5\x2f\xfd" + bytes(40), "is compressed with zstd; pack it as .tar.gz, or unpack it first"),
        (b"", "is damaged: file could not be opened successfully; copy it again from where it comes"),
    ],
)
def test_a_tar_that_is_not_read_is_called_what_it_is(
    directory_store: Store, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "photos.tar"
    path.write_bytes(content)

    with pytest.raises(BadParametersError) as refusal:
        ingest(Tar(path), directory_store, "Demo", tell=lambda _: None)

    assert str(refusal.value) == f"{path} {words}"
