"""Tables as Excel and others write them, into a catalog: nothing is lost, changed or guessed in silence."""

from __future__ import annotations

import datetime as dt
import os
import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest
from tests.tables import Tables

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.store import Store
from imgflow_workflows.ingest.files import FileList
from imgflow_workflows.transfer.copying import ingest


def test_a_column_that_mixes_numbers_and_text_is_text_as_it_was_written(tables: Tables) -> None:
    columns = [
        ["true", "maybe"],
        ["a", "b", "5"],
        ["2001", "NA", "2003"],
        ["1", "2.5", "x"],
        ["2012-01-01", "unknown"],
        ["5", "2012-01-01"],
        ["1", "true"],
        ["1,2", "3"],
        ["true", "wahr"],
        ["31.12.2012", "12/31/2012"],
    ]

    assert tables.read(columns) == columns


def test_it_is_told_which_value_makes_a_column_text(tables: Tables) -> None:
    tables.read([["2001", "NA", "2003"]])

    assert "column c0 is text: 2 of 3 values are integers, 'NA' is not" in tables.told
    tables.told.clear()
    tables.bring(tables.table("id,n\n007,1\n1,2\n"))
    assert tables.told == [
        f"taking column id for the names of photographs in {tables.folder}/images; --path or --id names another"
    ]


VALUES: dict[str, object] = {
    "12345678901234567890": "12345678901234567890",  # beyond 64 bit
    "9223372036854775807": 9223372036854775807,
    "1234567890123456789.5": "1234567890123456789.5",
    "007": "007",
    "+49": "+49",
    "12e3": "12e3",
    "1.5E+03": 1500.0,
    "1e-05": 0.00001,
    "0.30000000000000004": 0.30000000000000004,
    "9.90": 9.9,
    "1.2.3": "1.2.3",
    "nan": "nan",
    "F": "F",
    "TRUE": True,
    "WAHR": True,
    "faux": False,
    "2012-02-30": "2012-02-30",
    "2012-02-28": dt.date(2012, 2, 28),
    "31.12.2012": dt.date(2012, 12, 31),
    "1.2.2012 13:05": dt.datetime(2012, 2, 1, 13, 5),  # noqa: DTZ001 - it has no zone
    "2012:02:01 13:05:59": dt.datetime(2012, 2, 1, 13, 5, 59),  # noqa: DTZ001 - likewise
    "12/31/2012": dt.date(2012, 12, 31),
    "31/12/2012": dt.date(2012, 12, 31),
    "1/2/2012": "1/2/2012",
    "12/31/2012 2:30 PM": dt.datetime(2012, 12, 31, 14, 30),  # noqa: DTZ001 - likewise
    "2012-02-01T13:05:00+02:00": dt.datetime(2012, 2, 1, 11, 5, tzinfo=dt.UTC),
    "2012-02-01T13:05:00Z": dt.datetime(2012, 2, 1, 13, 5, tzinfo=dt.UTC),
    " 5 ": 5,
    "": None,
}


def test_a_value_is_what_it_says_or_stays_text(tables: Tables) -> None:
    read = tables.read([[written] for written in VALUES])

    assert {written: value for written, [value] in zip(VALUES, read, strict=True)} == VALUES


COMMAS: dict[str, list[object]] = {
    "9,99\n5": [9.99, 5.0],
    "1.234,50\n0,5": [1234.5, 0.5],
    "1\xa0234,50\n12\u202f000": [1234.5, 12000.0],
    "1'234,5": [1234.5],
    "-3,0": [-3.0],
    "1,23E+05": [123000.0],
    "1,2,3": ["1,2,3"],
    "01,5": ["01,5"],
    "9,99 €": ["9,99 €"],
    "1/2/2012\n3/2/2012": [dt.date(2012, 2, 1), dt.date(2012, 2, 3)],
}


def test_where_semicolons_part_columns_commas_are_decimals_and_days_come_first(tables: Tables) -> None:
    read = tables.read([written.split("\n") for written in COMMAS], delimiter=";")

    assert dict(zip(COMMAS, read, strict=True)) == COMMAS


def test_a_point_is_not_taken_for_a_decimal_where_another_column_has_commas(tables: Tables) -> None:
    rows = tables.bring(tables.table("id;price;seats;latitude\n1;9,99;1.234;52.3702\n2;5,00;12.500;4.9\n"))

    assert [(row["price"], row["seats"], row["latitude"]) for row in rows] == [
        (9.99, "1.234", 52.3702),
        (5.0, "12.500", 4.9),
    ]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("id;Größe\n007;Königsstraße\n", "cp1252"),
        ("id;année\n007;forêt d\u2019été, cœur 5 €\n", "cp1252"),
        ("id;miasto\n007;Łódź\n1;Pszczyna, Białystok, żółty\n", "cp1250"),
        ("id;obec\n007;Příbram, žluťoučký\n", "cp1250"),
        ("id;név\n007;Győr, tükörfúrógép\n", "cp1250"),
        ("id;sted\n007;Rønne, Århus\n", "cp1252"),
        ("id;город\n007;Москва\n", "cp1251"),
        ("id;Größe\n007;Königsstraße\n", "mac_roman"),
        ("id;Größe\n007;Königsstraße\n", "cp850"),
        ("id;wo\r\n007;Äpfel\r\n1;über\r\n", "cp850"),
        ("id;wo\n007;Äpfel\n", "mac_roman"),
        ("id;Größe\n007;Łódź\n", "utf-8"),
        ("id;Größe\n007;Łódź\n", "utf-8-sig"),
        ("id\tGröße\n007\tŁódź\n", "utf-16"),
        ("id\tGröße\n007\tŁódź\n", "utf-16-le"),
        ("id\tGröße\n007\tŁódź\n", "utf-16-be"),
        ("id;город\n007;Москва и Санкт-Петербург\n", "utf-16-be"),
        ("id;πόλη\r\n007;Αθήνα Θεσσαλονίκη Πάτρα Ηράκλειο\r\n", "utf-16-le"),
        ("id;場所\n007;東京都千代田区丸の内一丁目\n", "utf-16-le"),
        ("id,Größe\n007,Łódź\n", "utf-32"),
    ],
)
def test_a_table_is_read_in_the_encoding_that_it_is_written_in(tables: Tables, text: str, encoding: str) -> None:
    rows = tables.bring(tables.table(text.encode(encoding)))

    header, line, *_ = text.splitlines()
    mark = next(mark for mark in ";\t," if mark in header)
    name, value = header.partition(mark)[2], line.partition(mark)[2]
    assert rows[0] == {"image": "007.jpg", "id": "007", name: value}


def test_a_guessed_encoding_is_told_and_another_one_can_be_said(tables: Tables) -> None:
    text = "id;ulica\n007;Gdańsk\n".encode("cp1250")

    [guessed] = tables.bring(tables.table(text))
    [said] = tables.bring(tables.table(text, encoding="cp1250"))

    assert "reading table.csv as cp1252 (as in 'Gdañsk'); --encoding names another encoding" in tables.told
    assert (guessed["ulica"], said["ulica"]) == ("Gdañsk", "Gdańsk")


@pytest.mark.parametrize(
    ("text", "encoding", "error"),
    [
        ("id,größe\n007,3\n", "utf9", "no such encoding; such are utf-8"),
        ("id,größe\n007,3\n", "ascii", "is not written in ascii.*--encoding"),
        ("id,x\n007,größe\n", "ascii", "is not written in ascii.*--encoding"),
        ("id,x\n007,größe\n", "rot13", "no such encoding"),
    ],
)
def test_an_encoding_that_cannot_be_is_answered(tables: Tables, text: str, encoding: str, error: str) -> None:
    with pytest.raises(BadParametersError, match=error):
        tables.bring(tables.table(text, encoding=encoding))

    assert list(tables.store.entries()) == []


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("sep=;\r\nid;year\r\n007;2001\r\n", ["id", "year"]),
        ("\ufeffsep=\t\nid\tyear\n007\t2001\n", ["id", "year"]),
        ('"sep=|"\nid|a, b; c\n007|2001\n', ["id", "a, b; c"]),
        ('id;"name, first, middle"\n007;a\n', ["id", "name, first, middle"]),
        ('"id","a;b;c;d"\n"007","x;y"\n', ["id", "a;b;c;d"]),
        ('id,"two\nlines"\n007,"a\nb"\n', ["id", "two\nlines"]),
        ("\n\nid,year\n\n007,2001\n\n", ["id", "year"]),
        ("id,year,Year,\n007,2001,2002,\n,,,\n", ["id", "year", "Year_2"]),
        ("id,,year\n007,x,2001\n", ["id", "column_2", "year"]),
        ('id;size\n007;5" x\n', ["id", "size"]),
        ('id;size\r\n007;"a\nb"\r\n', ["id", "size"]),
        ("id;size\r007;3\r", ["id", "size"]),
        (unicodedata.normalize("NFD", "id,größe\n007,3\n"), ["id", "größe"]),
        ("id\n007\n", ["id"]),
        ("path\nimages/007.jpg\n", ["path"]),
    ],
)
def test_the_columns_are_those_that_a_spreadsheet_shows(tables: Tables, text: str, columns: list[str]) -> None:
    rows = tables.bring(tables.table(text))

    assert list(rows[0]) == ["image", *columns]
    assert len(rows) == 1


def test_a_column_without_delimiter_may_hold_any(tables: Tables) -> None:
    tables.photo("a,b.jpg")
    tables.photo("c.jpg")

    assert [row["image"] for row in tables.bring(tables.table("path\na,b.jpg\nc.jpg\n"))] == ["a,b.jpg", "c.jpg"]


@pytest.mark.parametrize(
    ("on_disk", "written"),
    [
        ("images/Ä b.jpg", "images\\Ä b.jpg"),
        ("images/Ä b.jpg", "IMAGES/ä B.JPG"),
        ("images/Ä b.jpg", ".\\Images\\Ä b.jpg"),
        ("images/Ä b.jpg", unicodedata.normalize("NFD", "images/Ä b.jpg")),
        (unicodedata.normalize("NFD", "images/Ä b.jpg"), unicodedata.normalize("NFC", "images/Ä b.jpg")),
        (unicodedata.normalize("NFD", "Ä/Ä b.jpg"), unicodedata.normalize("NFC", "ä/ä b.JPG")),
        ("images/Ä b.jpg", " images/Ä b.jpg "),
        ("images/back\\slash.jpg", "images/back\\slash.jpg"),
    ],
)
def test_a_path_leads_to_the_file_that_somebody_means(tables: Tables, on_disk: str, written: str) -> None:
    tables.photo(on_disk)

    [row] = tables.bring(tables.table(f"path,year\n{written},2001\n"))

    assert (row["image"], row["path"]) == (on_disk, written)


def test_a_path_that_may_mean_two_files_is_not_guessed(tables: Tables) -> None:
    tables.photo("images/x.jpg")
    tables.photo("images/X.jpg")

    with pytest.raises(BadParametersError, match="cannot be found"):
        tables.bring(tables.table("path,year\nIMAGES/x.JPG,2001\n"))
    assert [row["image"] for row in tables.bring(tables.table("path,year\nimages/X.jpg,2001\n"))] == ["images/X.jpg"]


@pytest.mark.parametrize("written", ["café", unicodedata.normalize("NFD", "café"), "CAFÉ", " café "])
def test_an_id_leads_to_its_photograph_however_it_is_written(tables: Tables, written: str) -> None:
    tables.photo("images/café.JPG")

    [row] = tables.bring(tables.table(f"id,year\n{written},2001\n"))

    assert row["image"] == "café.JPG"


def test_a_table_in_a_folder_of_its_own_names_photographs_beside_that(tables: Tables) -> None:
    [row] = tables.bring(tables.table("path,year\n../images/007.jpg,2001\n", "tables/parent.csv"))

    assert row["image"] == "images/007.jpg"
    assert tables.store.stat(f"{keys.images('Demo')}images/007.jpg")


def test_a_list_names_photographs_beside_the_current_folder(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    (tables.folder / "here").mkdir()
    monkeypatch.chdir(tables.folder / "here")

    assert ingest(FileList(["../images/007.jpg\n"]), tables.store, "Demo", tell=lambda _: None).copied == 1
    assert tables.store.stat(f"{keys.images('Demo')}images/007.jpg")


def test_photographs_may_be_in_a_folder_whose_name_is_not_utf_8(
    directory_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = Tables(tmp_path / os.fsdecode(b"b\xfccher"), directory_store)
    monkeypatch.chdir(tables.folder)

    assert ingest(FileList(["images/007.jpg\n"]), tables.store, "Demo", tell=lambda _: None).copied == 1
    assert ingest(tables.table("id,year\n1,2001\n"), tables.store, "Demo", tell=lambda _: None).copied == 1
    with pytest.raises(BadParametersError, match="its path is not UTF-8"):
        ingest(tables.table(b"PAR1", "table.parquet"), tables.store, "Demo", tell=lambda _: None)


def test_a_photograph_in_two_rows_is_named_once_and_what_is_wanted_is_said(tables: Tables) -> None:
    with pytest.raises(BadParametersError) as error:
        tables.bring(tables.table("path\nimages/007.jpg\nimages/007.jpg\n"))

    assert str(error.value).count("007.jpg") == 1
    assert str(error.value).endswith("nothing was copied. Every photograph has one row")


def test_two_paths_to_photographs_of_one_name_are_an_error(tables: Tables) -> None:
    tables.photo("tables/images/007.jpg")

    with pytest.raises(BadParametersError, match=r"several rows are about images/007\.jpg"):
        tables.bring(tables.table("path\n../images/007.jpg\nimages/007.jpg\n", "tables/parent.csv"))


def test_a_table_of_which_nothing_can_be_copied_is_an_error(tables: Tables) -> None:
    tables.photo("images/notes.txt")

    with pytest.raises(BadParametersError, match=r"no row of .*names a photograph.*notes\.txt: its name has no image"):
        tables.bring(tables.table("path,year\nimages/notes.txt,2001\n"))

    assert list(tables.store.entries()) == []


@pytest.mark.parametrize("content", [b"PK\x03\x04xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1"])
def test_a_workbook_is_called_one(tables: Tables, content: bytes) -> None:
    with pytest.raises(BadParametersError, match=r"Excel workbook.*CSV UTF-8"):
        tables.bring(tables.table(content))


def test_a_second_table_keeps_the_columns_of_the_first(tables: Tables) -> None:
    tables.bring(tables.table("id,name,price,year\n1,Alpha,9.99,2001\n2,Beta,5,2002\n"))
    rows = tables.bring(tables.table("id,label,Year\n1,cat,2011\n2,dog,\n"))

    assert [(row["name"], row["price"], row["label"], row["Year"]) for row in rows] == [
        ("Alpha", 9.99, "cat", 2011),
        ("Beta", 5.0, "dog", None),
    ]


def test_an_empty_column_makes_no_text_of_numbers(tables: Tables) -> None:
    tables.bring(tables.table("id,year\n1,2001\n"))
    rows = tables.bring(tables.table("id,year\n2,\n"))

    assert [row["year"] for row in rows] == [2001, None]


def test_what_a_table_told_is_known_at_the_end(tables: Tables) -> None:
    table = tables.table("id;name;price;day;sold;n\n1;x;9,99;31.12.2012;WAHR;5\n2;y;1;1.1.2013;FALSCH;6\n")
    tables.bring(table)

    assert str(table.learned) == (
        "2 rows in the catalog, with id (integer), name (text), price (number), day (date), sold (boolean), n (integer)"
    )


def test_strings_nested_columns_and_zones_of_parquet_stay_what_they_are(tables: Tables) -> None:
    columns = {
        "id": ["007", "1"],
        "zip": ["1234", "5678"],
        "flag": ["true", "false"],
        "tags": [["a", "b"], []],
        "place": [{"lat": 1.5, "name": "x"}, None],
        "at": pa.array([0, 3_600_000_000], pa.timestamp("us", "Europe/Amsterdam")),
        "big": pa.array([2**63, 1], pa.uint64()),
        "kind": pa.array(["a", "b"]).dictionary_encode(),
        "none": pa.array([None, None]),
    }

    first, second = tables.bring(tables.parquet(columns))

    assert (first["id"], first["zip"], first["flag"], first["tags"]) == ("007", "1234", "true", ["a", "b"])
    assert (first["place"], second["place"], first["kind"]) == ({"lat": 1.5, "name": "x"}, None, "a")
    assert first["big"] == 2**63
    assert (first["at"], second["at"]) == tuple(dt.datetime(1970, 1, 1, hour, tzinfo=dt.UTC) for hour in (0, 1))


@pytest.mark.parametrize("gap", [[float("nan")] * 2, [float("inf"), float("-inf")]])
def test_a_row_of_parquet_whose_id_is_not_a_number_names_no_photograph(tables: Tables, gap: list[float]) -> None:
    rows = tables.bring(tables.parquet({"id": pa.array([1.0, *gap, 2.0]), "n": [1, 2, 3, 4]}))

    assert [(row["image"], row["n"]) for row in rows] == [("1.jpg", 1), ("2.jpg", 4)]


@pytest.mark.parametrize("ids", [pa.array([b"1", b"\xff"]), pa.array([1.0, 1e300])])
def test_an_id_of_parquet_that_cannot_be_a_name_is_one_error(tables: Tables, ids: object) -> None:
    with pytest.raises(BadParametersError, match=r"table\.parquet cannot be read: .*; nothing was copied"):
        tables.bring(tables.parquet({"id": ids}))


@pytest.mark.parametrize("ids", [pa.array([1.0, 2.0, None]), pa.array([b"1", b"2", None]), pa.array([1, 2, None])])
def test_ids_of_parquet_are_what_they_were_before_some_program_changed_their_type(tables: Tables, ids: object) -> None:
    assert [row["image"] for row in tables.bring(tables.parquet({"id": ids, "n": [1, 2, 3]}))] == ["1.jpg", "2.jpg"]


def test_columns_of_parquet_that_differ_in_case_alone_are_told_apart(tables: Tables) -> None:
    [row] = tables.bring(tables.parquet({"id": ["1"], "Year": [1], "year": [2]}))

    assert {name: value for name, value in row.items() if "ear" in name} == {"Year": 1, "year_2": 2}


def test_the_only_column_of_names_of_images_says_where_they_are(tables: Tables) -> None:
    rows = tables.bring(tables.table("Dateiname,Ort\nimages/1.jpg,Hafen\nimages/2.JPG,Markt\n"))

    assert [(row["image"], row["Ort"]) for row in rows] == [("images/1.jpg", "Hafen"), ("images/2.jpg", "Markt")]
    assert "taking column Dateiname for the paths of the photographs; --path or --id names another" in tables.told
    with pytest.raises(BadParametersError, match="Which of them names the photographs"):
        tables.bring(tables.table("vorher,nachher\nimages/1.jpg,images/2.jpg\n"))
    with pytest.raises(BadParametersError, match="Which of them names the photographs"):
        tables.bring(tables.table("Dateiname,Ort\nimages/1.jpg,Hafen\nEingang,Markt\n"))
