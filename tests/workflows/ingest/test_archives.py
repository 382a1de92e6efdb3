"""What in an archive is not a file is never unpacked, and is counted."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
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


def packed(names: dict[str, bytes]) -> bytes:
    """A tar of files."""
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name, content in names.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return file.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_tars_that_lie_one_behind_another_are_all_read(
    directory_store: Store, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "photos.tar"
    path.write_bytes(b"".join(pack(packed({f"{number}.jpg": photographs.jpeg(number)})) for number in range(3)))

    assert run(Tar(path), directory_store).copied == 3
    assert dataset(directory_store) == {"0.jpg", "1.jpg", "2.jpg"}
    assert run(Tar(path, checksum=True), directory_store).present == 3


def test_a_name_that_two_tars_have_of_which_one_is_behind_the_other_is_an_error(
    directory_store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "photos.tar"
    path.write_bytes(packed({"1.jpg": b"one"}) + packed({"1.jpg": b"two"}))

    with pytest.raises(BadParametersError, match=r"would both be 1\.jpg in the dataset; nothing was copied"):
        run(Tar(path), directory_store)


@pytest.mark.parametrize("behind", [b"", b"not a tar" * 1000, bytes(5000) + b"x"])
def test_what_fills_up_a_tar_is_not_read(directory_store: Store, tmp_path: Path, behind: bytes) -> None:
    path = tmp_path / "photos.tar"
    path.write_bytes(packed({"1.jpg": b"one"}) + behind)

    assert run(Tar(path), directory_store).copied == 1


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_tar_with_a_damaged_header_in_its_middle_does_not_pass_for_one_that_ends_there(
    directory_store: Store, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path, content = tmp_path / "photos.tar", packed({"1.jpg": b"one", "2.jpg": b"two", "3.jpg": b"three"})
    path.write_bytes(pack(content[:1024] + b"\xff" + content[1025:]))

    with pytest.raises(BadParametersError, match="is damaged: there is no member of it at byte 1,024"):
        run(Tar(path), directory_store)
    assert dataset(directory_store) == set()


def test_a_tar_that_ends_without_its_mark_of_the_end_is_read(directory_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "photos.tar"
    path.write_bytes(packed({"1.jpg": b"one"})[:1024])

    assert run(Tar(path), directory_store).copied == 1


def test_a_tar_whose_bytes_are_not_those_of_its_checksum_is_damaged(directory_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "photos.tar.gz"
    content = bytearray(gzip.compress(packed({"1.jpg": photographs.jpeg(1)}), compresslevel=0))
    content[1000] ^= 1
    path.write_bytes(content)

    with pytest.raises(BadParametersError, match=r"photos\.tar\.gz is damaged: CRC check failed"):
        run(Tar(path), directory_store)
    assert dataset(directory_store) == set()


def test_what_somebody_has_put_behind_a_compressed_tar_is_not_read(directory_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "photos.tar.gz"
    path.write_bytes(gzip.compress(packed({"1.jpg": b"one"})) + b"a signature")

    assert run(Tar(path), directory_store).copied == 1


@pytest.mark.parametrize("comment", [b"", b"photographs of May"])
def test_of_two_zips_one_behind_another_none_is_left_out_in_silence(
    directory_store: Store, tmp_path: Path, comment: bytes
) -> None:
    for name in ("1.jpg", "2.jpg"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr(name, name)
            archive.comment = comment
    path = tmp_path / "photos.zip"
    path.write_bytes(b"".join((tmp_path / f"{name}.zip").read_bytes() for name in ("1.jpg", "2.jpg")))

    with pytest.raises(BadParametersError, match="holds a zip behind another one"):
        run(Zip(path), directory_store)
    assert dataset(directory_store) == set()
    path.write_bytes(b"MZ a program that unpacks itself" + (tmp_path / "1.jpg.zip").read_bytes())
    assert run(Zip(path), directory_store).copied == 1


def test_a_file_that_is_said_to_lie_in_front_of_its_zip_is_counted_as_unreadable(
    directory_store: Store, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("1.jpg", photographs.jpeg(1))
    data = bytearray((tmp_path / "photos.zip").read_bytes())
    data[-6:-2] = (int.from_bytes(data[-6:-2], "little") + 1000).to_bytes(4, "little")  # where its directory begins
    (tmp_path / "photos.zip").write_bytes(data)

    summary = run(Zip(tmp_path / "photos.zip"), directory_store)

    assert dict(summary.refused) == {SkipReason.UNREADABLE: 1}
    assert dataset(directory_store) == set()
