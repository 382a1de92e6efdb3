"""Archives, lists and tables into a dataset; what is wrong with one of them leaves the store as it was."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import photographs
from tests.catalogs import FIRST, fashion

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.store import Store
from imgflow_workflows.ingest.archive import Tar, Zip, archive_kind
from imgflow_workflows.ingest.files import FileList
from imgflow_workflows.ingest.table import Table
from imgflow_workflows.results.skips import SkipReason
from imgflow_workflows.transfer.copying import IngestSummary, Source, ingest

Pack = Callable[[Path, dict[str, bytes]], Source]
PHOTOS = {"1.jpg": b"one", "2022/Östra/å %2F.JPG": b"two", "no suffix": b"\xff\xd8\xffthree"}


def run(source: Source, store: Store) -> IngestSummary:
    return ingest(source, store, "Demo", workers=4, tell=lambda _: None)


def dataset(store: Store) -> dict[str, bytes]:
    prefix = keys.images("Demo")
    return {found.key.removeprefix(prefix): store.read(found.key) for found in store.entries(prefix)}


def catalog(store: Store, folder: Path) -> list[dict[str, object]]:
    store.download(keys.catalog("Demo"), folder / "catalog.parquet")
    rows: list[dict[str, object]] = pq.read_table(folder / "catalog.parquet").to_pylist()
    return rows


def zipped(path: Path, members: dict[str, bytes]) -> Source:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return Zip(path)


def tarred(path: Path, members: dict[str, bytes]) -> Source:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1_600_000_000
            archive.addfile(member, io.BytesIO(data))
    return Tar(path)


packings = pytest.mark.parametrize("pack", [zipped, tarred])


@packings
def test_an_archive_is_copied_once_under_its_members_names(store: Store, tmp_path: Path, pack: Pack) -> None:
    source = pack(tmp_path / "photos", {**PHOTOS, "notes.txt": b"text", "empty.jpg": b""})

    first, second = run(source, store), run(source, store)

    assert dataset(store) == PHOTOS
    assert (first.copied, first.refused) == (3, {SkipReason.NOT_AN_IMAGE: 1, SkipReason.EMPTY: 1})
    assert (second.copied, second.present) == (0, 3)


@packings
@pytest.mark.parametrize("name", ["../x.jpg", "a/../../x.jpg", "/etc/x.jpg"])
def test_a_member_outside_of_the_archive_leaves_the_store_as_it_was(
    directory_store: Store, tmp_path: Path, pack: Pack, name: str
) -> None:
    source = pack(tmp_path / "photos", {**PHOTOS, name: b"x"})

    with pytest.raises(BadParametersError, match="outside of it; the archive may be malicious, and nothing was copied"):
        run(source, directory_store)

    assert list(directory_store.entries()) == []


@packings
def test_a_bomb_leaves_the_store_as_it_was(directory_store: Store, tmp_path: Path, pack: Pack) -> None:
    source = pack(tmp_path / "photos", {"1.jpg": b"one", **{f"{i}.bmp": bytes(90 << 20) for i in range(3)}})

    with pytest.raises(BadParametersError, match="bomb"):
        run(source, directory_store)

    assert list(directory_store.entries()) == []


@packings
def test_two_members_of_one_name_leave_the_store_as_it_was(directory_store: Store, tmp_path: Path, pack: Pack) -> None:
    source = pack(tmp_path / "photos", {"1.jpg": b"one", "./1.jpg": b"other"})

    with pytest.raises(BadParametersError, match="nothing was copied"):
        run(source, directory_store)

    assert list(directory_store.entries()) == []


@packings
def test_an_archive_that_breaks_off_is_called_damaged(directory_store: Store, tmp_path: Path, pack: Pack) -> None:
    source = pack(tmp_path / "photos", {f"{i}.jpg": os.urandom(5000) for i in range(20)})
    (tmp_path / "photos").write_bytes((tmp_path / "photos").read_bytes()[:50_000])

    with pytest.raises(BadParametersError, match="damaged"):
        run(source, directory_store)

    assert list(directory_store.entries()) == []


def test_a_damaged_member_of_a_zip_costs_itself_alone(directory_store: Store, tmp_path: Path) -> None:
    source = zipped(tmp_path / "photos", {"1.jpg": os.urandom(500), "2.jpg": b"two"})
    data = bytearray((tmp_path / "photos").read_bytes())
    data[100] ^= 255
    (tmp_path / "photos").write_bytes(data)

    done = run(source, directory_store)

    assert (done.copied, done.refused) == (1, {SkipReason.UNREADABLE: 1})
    assert "damaged" in done.refusals[0].message


def test_a_zip_whose_members_have_no_date_is_copied_once(directory_store: Store, tmp_path: Path) -> None:
    member = zipfile.ZipInfo("1.jpg")
    member.date_time = (1980, 0, 0, 0, 0, 0)  # what some programs write
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr(member, b"one")
    source = Zip(tmp_path / "photos.zip")

    first, second = run(source, directory_store), run(source, directory_store)

    assert (first.copied, second.copied, second.present) == (1, 0, 1)


@pytest.mark.parametrize("mtime", ["nan", "inf", "-1e300", "99999999999999"])
def test_a_tar_whose_members_have_impossible_dates_is_copied_once(
    directory_store: Store, tmp_path: Path, mtime: str
) -> None:
    member = tarfile.TarInfo("1.jpg")
    member.size, member.pax_headers = 3, {"mtime": mtime}
    with tarfile.open(tmp_path / "photos.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(b"one"))
    source = Tar(tmp_path / "photos.tar")

    first, second = run(source, directory_store), run(source, directory_store)

    assert (first.copied, second.copied, second.present) == (1, 0, 1)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_in_a_tar_are_refused_and_counted(directory_store: Store, tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        for name, linked in {"1.jpg": "", "2.jpg": "1.jpg", "a text": "1.jpg", "notes.txt": "1.jpg"}.items():
            member = tarfile.TarInfo(name)
            member.linkname, member.type, member.size = linked, kind if linked else tarfile.REGTYPE, 3 * (not linked)
            archive.addfile(member, io.BytesIO(b"one"))

    summary = run(Tar(tmp_path / "photos.tar"), directory_store)

    assert dict(summary.refused) == {SkipReason.LINK: 2, SkipReason.NOT_AN_IMAGE: 1}
    assert dataset(directory_store) == {"1.jpg": b"one"}


def test_a_zip_that_lies_about_how_its_names_are_written_is_damaged(directory_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    zipped(path, {"é.jpg": b"one", "2.jpg": b"two"})
    whole, name = path.read_bytes(), "é.jpg".encode()
    first, last = whole.index(name), whole.rindex(name)  # beside the member, and in the directory at the end

    path.write_bytes(whole[:last] + b"\xff" + whole[last + 1 :])
    with pytest.raises(BadParametersError, match="damaged"):
        run(Zip(path), directory_store)
    path.write_bytes(whole[:first] + b"\xff" + whole[first + 1 :])
    summary = run(Zip(path), directory_store)

    assert dict(summary.refused) == {SkipReason.UNREADABLE: 1}
    assert dataset(directory_store) == {"2.jpg": b"two"}


def test_a_member_of_a_zip_without_a_name_costs_itself_alone(directory_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    zipped(path, {"X.jpg": b"one", "2.jpg": b"two"})
    path.write_bytes(path.read_bytes().replace(b"X.jpg", b"\0.jpg"))  # what follows a NUL is not read

    assert dict(run(Zip(path), directory_store).refused) == {SkipReason.NOT_AN_IMAGE: 1}
    assert dataset(directory_store) == {"2.jpg": b"two"}


@pytest.mark.parametrize("name", ["photos.tar.gz", "photos.tgz", "photos"])
def test_an_archive_of_which_hardly_anything_is_there_is_called_damaged(
    directory_store: Store, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    tarred(path, {"1.jpg": os.urandom(4096)})
    path.write_bytes(path.read_bytes()[:60])

    assert archive_kind(path) == "tar"
    with pytest.raises(BadParametersError, match="damaged"):
        run(Tar(path), directory_store)


def test_the_kind_of_an_archive_is_seen_in_its_content(tmp_path: Path) -> None:
    zipped(tmp_path / "one", PHOTOS)
    tarred(tmp_path / "two", PHOTOS)
    (tmp_path / "three.jpg").write_bytes(photographs.jpeg(1))

    assert [archive_kind(tmp_path / name) for name in ("one", "two", "three.jpg")] == ["zip", "tar", ""]


def test_a_list_is_copied_under_paths_below_the_current_folder(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs.folder(tmp_path / "photos", 3)
    monkeypatch.chdir(tmp_path)
    lines = ["photos/a/000.jpg\n", "./photos/a/000.jpg\n", f"{tmp_path}/photos/b/001.jpg\n", "\n"]

    assert run(FileList(lines), store).copied == 2
    assert run(FileList(lines), store).present == 2
    assert set(dataset(store)) == {"photos/a/000.jpg", "photos/b/001.jpg"}


def test_a_list_with_missing_files_copies_nothing_unless_asked(directory_store: Store, tmp_path: Path) -> None:
    photographs.folder(tmp_path / "photos", 1)
    lines = [f"{tmp_path}/photos/a/000.jpg", *(f"{tmp_path}/gone{i}.jpg" for i in range(5))]

    with pytest.raises(BadParametersError, match=r"5 files of .* cannot be found: .*gone0.jpg.* and 2 more"):
        run(FileList(lines), directory_store)
    assert list(directory_store.entries()) == []

    assert run(FileList(lines, lenient=True), directory_store).refused == {SkipReason.MISSING: 5}
    assert len(dataset(directory_store)) == 1


def test_a_table_s_photographs_and_what_it_says_of_them_come_into_the_store(store: Store, tmp_path: Path) -> None:
    guessed: list[str] = []
    table = Table(fashion(tmp_path / "in", 40), say=guessed.append)

    assert run(table, store).copied == 40
    assert run(table, store).present == 40

    rows = catalog(store, tmp_path)
    assert [row["image"] for row in rows] == sorted(dataset(store))
    assert rows[0]["image"] == f"{FIRST}.jpg"
    assert rows[0]["id"] == FIRST
    assert isinstance(rows[0]["year"], int)
    assert str(rows[0]["productDisplayName"]).endswith(f', "blue" {FIRST}')
    assert "column id" in guessed[0]


def test_leading_zeros_of_an_id_are_kept(directory_store: Store, tmp_path: Path) -> None:
    (tmp_path / "007.png").write_bytes(photographs.png(7))
    (tmp_path / "list.csv").write_text("id,agent\n007,Bond\n")

    run(Table(tmp_path / "list.csv"), directory_store)

    assert catalog(directory_store, tmp_path) == [{"image": "007.png", "id": "007", "agent": "Bond"}]


def test_numbers_are_numbers_unless_they_begin_with_a_zero(directory_store: Store, tmp_path: Path) -> None:
    fashion(tmp_path, 2)
    table = tmp_path / "styles.csv"
    table.write_text(f"id,postcode,year,phone\n{FIRST},01067,2012,+49\n{FIRST + 1},80331,-3,1\n")

    run(Table(table), directory_store)

    told = [(row["postcode"], row["year"], row["phone"]) for row in catalog(directory_store, tmp_path)]
    assert told == [("01067", 2012, "+49"), ("80331", -3, "1")]


def test_letters_are_no_truths_and_truths_are(directory_store: Store, tmp_path: Path) -> None:
    fashion(tmp_path, 2)
    table = tmp_path / "styles.csv"
    table.write_text(f"id,gender,sold,online\n{FIRST},F,True,\n{FIRST + 1},F,false,true\n")

    run(Table(table), directory_store)

    told = [(row["gender"], row["sold"], row["online"]) for row in catalog(directory_store, tmp_path)]
    assert told == [("F", True, None), ("F", False, True)]


def test_columns_called_as_ours_are_told_apart_however_they_are_written(directory_store: Store, tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(photographs.jpeg(1))
    (tmp_path / "photos.csv").write_text("Image,Municipality\n1.jpg,Utrecht\n")

    run(Table(tmp_path / "photos.csv"), directory_store)

    [row] = catalog(directory_store, tmp_path)
    assert row == {"image": "1.jpg", "source_Image": "1.jpg", "source_Municipality": "Utrecht"}


def test_another_table_changes_only_the_rows_and_columns_that_it_has(directory_store: Store, tmp_path: Path) -> None:
    photographs.folder(tmp_path, 3)
    (tmp_path / "one.csv").write_text("file;stars\na/000.jpg;1\nb/001.jpg;2\n")
    (tmp_path / "two.csv").write_text("file;street\nb/001.jpg;Oudegracht\nc/002.jpg;Neude\n")

    run(Table(tmp_path / "one.csv"), directory_store)
    run(Table(tmp_path / "two.csv"), directory_store)

    told = {row["image"]: (row["stars"], row["street"]) for row in catalog(directory_store, tmp_path)}
    assert told == {"a/000.jpg": (1, None), "b/001.jpg": (2, "Oudegracht"), "c/002.jpg": (None, "Neude")}


def test_columns_with_nothing_in_common_become_text(directory_store: Store, tmp_path: Path) -> None:
    fashion(tmp_path, 2)
    first, second = tmp_path / "first.csv", tmp_path / "second.parquet"
    first.write_text(f"id,worn\n{FIRST},5\n")
    pq.write_table(pa.table({"id": [str(FIRST + 1)], "worn": [["indoors", "outdoors"]]}), second)

    run(Table(first), directory_store)
    run(Table(second), directory_store)

    assert [row["worn"] for row in catalog(directory_store, tmp_path)] == ["5", "[indoors, outdoors]"]


def test_a_parquet_table_is_read_like_a_csv(directory_store: Store, tmp_path: Path) -> None:
    photographs.folder(tmp_path, 2)
    pq.write_table(pa.table({"image": ["a/000.jpg", "b/001.jpg"], "stars": [1.5, 2.5]}), tmp_path / "[1].parquet")

    run(Table(tmp_path / "[1].parquet"), directory_store)

    assert catalog(directory_store, tmp_path)[1] == {
        "image": "b/001.jpg",
        "source_image": "b/001.jpg",
        "stars": 2.5,
    }


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "cannot be read|no rows"),
        (b"id,season\n", "no rows"),
        (b"id,season\n1163,\xc3\xa9\n1164,\xe9t\xe9\n", "line 3 cannot be read.*not in UTF-8"),
        (bytes(range(256)) * 9, "cannot be read: [^*]*; nothing was copied$"),
        (b"id,season\n1163,Summer\n1164,Fall,red\n", "line 3 cannot be read.*--lenient"),
        (b"id,season\n1163,Summer\n1163,Fall\n", "id 1163 is in several rows"),
        (b"id,season\n1163,Summer\n7,Fall\n", "1 file of .* cannot be found: .*images/7.jpg"),
        (b"number,season\n1163,Summer\n", "has the columns number, season. Which"),
        (b"path,season\n../../etc/x.jpg,Summer\n", "cannot be found"),
        (b"path,n\nimages/1163.jpg,1\nimages/./1163.jpg,2\n", "several rows are about images/1163.jpg"),
    ],
)
def test_a_table_that_is_wrong_leaves_the_store_as_it_was(
    directory_store: Store, tmp_path: Path, content: bytes, error: str
) -> None:
    path = fashion(tmp_path / "in", 3)
    path.write_bytes(content)

    with pytest.raises(BadParametersError, match=error):
        run(Table(path), directory_store)

    assert list(directory_store.entries()) == []


def test_a_column_that_is_not_there_is_answered_with_the_nearest(directory_store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadParametersError, match="did you mean 'season'"):
        run(Table(fashion(tmp_path, 1), ids="seasn"), directory_store)


def test_unreadable_rows_and_missing_files_are_left_out_and_counted_when_asked(
    directory_store: Store, tmp_path: Path
) -> None:
    path = fashion(tmp_path / "in", 3)
    path.write_bytes(b"id,season\n1163,Summer\n1164,Fall,red\n7,Fall\n")

    done = run(Table(path, lenient=True), directory_store)

    assert (done.copied, done.refused) == (1, {SkipReason.ROW: 1, SkipReason.MISSING: 1})
    assert catalog(directory_store, tmp_path) == [{"image": "1163.jpg", "id": 1163, "season": "Summer"}]
