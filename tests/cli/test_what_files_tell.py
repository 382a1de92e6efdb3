"""When, where and with what photographs were taken: in results, in catalogs, and for --where."""

from __future__ import annotations

import json
import os
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests import exifs

from imgflow_steps.records import keys

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

QUICK = ("--steps", "scale:50%", "--workers", "1")


@pytest.fixture
def album(imgflow: Cli) -> Path:
    """Three photographs of May, one of April without a position, one that tells nothing; all seen by a run."""
    folder = Path("album")
    folder.mkdir()
    for day in (1, 2, 3):
        block = exifs.block(f"2026:05:0{day} 12:00:00", where=(52 + day / 10, 5.1))
        (folder / f"may-{day}.jpg").write_bytes(exifs.photograph(exif=block, seed=day))
    (folder / "april.png").write_bytes(
        exifs.photograph("PNG", exif=exifs.block("2026:04:30 23:59:59", where=None), seed=4)
    )
    (folder / "silent.jpg").write_bytes(exifs.photograph(exif=Image.Exif(), seed=5))
    imgflow("ingest", str(folder), "-m", "Demo")
    assert imgflow("submit", "-m", "Demo", *QUICK, "--run", "one").code == 0
    return folder


def test_results_have_it_as_columns(imgflow: Cli, album: Path) -> None:
    sql = "SELECT image, taken, zone, camera, latitude FROM results WHERE taken < '2026-05-02' ORDER BY taken"

    rows = imgflow("query", sql, "-o", "json").json

    assert [row["image"] for row in rows] == ["april.png", "may-1.jpg"]
    assert rows[1]["taken"].startswith("2026-05-01T12:00:00") or rows[1]["taken"].startswith("2026-05-01 12:00:00")
    assert (rows[1]["zone"], rows[1]["camera"], round(rows[1]["latitude"], 3)) == ("+02:00", "Canon EOS 5D", 52.1)
    assert rows[0]["latitude"] is None


@pytest.mark.parametrize("where", ["taken >= '2026-05-01'", "exif.taken >= '2026-05-01'", "Latitude > 52.05"])
def test_where_chooses_by_it_without_any_table(imgflow: Cli, album: Path, where: str) -> None:
    done = imgflow("submit", "-m", "Demo", "--steps", "grayscale", "--workers", "1", "--where", where, "-o", "json")

    assert done.json["counts"]["processed"] == 3


def test_a_catalog_has_it_as_a_structure_beside_its_own_columns_which_count(imgflow: Cli, album: Path) -> None:
    Path("album/told.csv").write_text("file,street,taken\nmay-1.jpg,Oak,1999\nsilent.jpg,Elm,2000\n")
    imgflow("ingest", "album/told.csv", "-m", "Demo", "--path", "file")

    rows = imgflow(
        "query", "SELECT image, street, taken, exif.taken AS at FROM catalog ORDER BY image", "-o", "json"
    ).json
    plain = imgflow("query", "SELECT * FROM catalog", "-o", "json").json
    chosen = imgflow("plan", "-m", "Demo", "--where", "taken = 1999 AND exif.camera LIKE 'Canon%'")
    judged = imgflow("fetch", "one", "out", "--where", "taken = 1999")

    assert [(row["image"], row["street"], row["taken"]) for row in rows if row["street"]] == [
        ("may-1.jpg", "Oak", 1999),
        ("silent.jpg", "Elm", 2000),
    ]
    assert [bool(row["at"]) for row in rows] == [True, True, True, True, False]
    assert [set(row) for row in plain] == [{"municipality", "image", "file", "street", "taken"}] * 2
    assert "1 listed" in chosen.out
    assert (judged.code, len(list(Path("out").rglob("*.jpg")))) == (0, 1)


def test_what_a_run_before_the_newest_one_read_is_still_known(imgflow: Cli, album: Path) -> None:
    imgflow("submit", "-m", "Demo", "--steps", "blur", "--workers", "1", "--where", "image = 'may-1.jpg' AND iso > 0")

    done = imgflow("plan", "-m", "Demo", "--where", "iso > 0")

    assert "4 listed" in done.out


def test_before_any_run_nothing_of_it_is_known(imgflow: Cli) -> None:
    Path("album").mkdir()
    Path("album/x.jpg").write_bytes(exifs.photograph())
    imgflow("ingest", "album", "-m", "Demo")

    done = imgflow("submit", "-m", "Demo", *QUICK, "--where", "taken > '2020-01-01'")

    assert done.code == 2
    assert "after a run has read" in done.err


@pytest.mark.parametrize("layout", ["fused", "steps"])
def test_pictures_leave_without_it_unless_the_pipeline_says_otherwise(imgflow: Cli, album: Path, layout: str) -> None:
    kept = {}
    for keep in ("strip", "keep", "keep-no-gps"):
        Path("p.yaml").write_text(f"steps: [{{scale: {{width: 40, height: 40}}}}]\noutput: {{metadata: {keep}}}\n")
        run = ("submit", "-m", "Demo", "--pipeline", "p.yaml", "--workers", "1", "--layout", layout, "--run", keep)
        assert imgflow(*run).code == 0
        imgflow("fetch", keep, f"out-{keep}")
        with Image.open(f"out-{keep}/may-1.jpg") as image:
            exif = image.getexif()
        kept[keep] = (bool(exif.get_ifd(0x8769)), bool(exif.get_ifd(0x8825)), exif.get(0x0112))

    assert kept == {"strip": (False, False, None), "keep": (True, True, None), "keep-no-gps": (True, False, None)}


def test_geojson_has_a_feature_for_each_image_with_its_place_and_what_is_told(imgflow: Cli, album: Path) -> None:
    Path("album/told.csv").write_text("file,street\nmay-1.jpg,\u00d6k\n")
    imgflow("ingest", "album/told.csv", "-m", "Demo", "--path", "file")

    done = imgflow("export", "out", "-m", "Demo", "--format", "geojson")
    some = imgflow("export", "some", "-m", "Demo", "--as", "geojson", "--results", "--where", "taken > '2026-05-02'")
    whole = json.loads(Path("out/photographs.geojson").read_text(encoding="utf-8"))
    part = json.loads(Path("some/photographs.geojson").read_text(encoding="utf-8"))

    assert "5 features, 3 with a position" in done.out
    assert (whole["type"], len(whole["features"])) == ("FeatureCollection", 5)
    first = next(one for one in whole["features"] if one["properties"]["image"] == "may-1.jpg")
    assert [round(number, 3) for number in first["geometry"]["coordinates"]] == [5.1, 52.1, -12.5]
    assert (first["properties"]["street"], first["properties"]["taken"]) == ("\u00d6k", "2026-05-01T12:00:00")
    assert [one["geometry"] for one in whole["features"] if one["properties"]["image"] == "april.png"] == [None]
    assert some.code == 0
    assert {one["properties"]["image"] for one in part["features"]} == {"may-2.jpg", "may-3.jpg"}
    assert [(one["properties"]["status"], one["properties"]["output_width"]) for one in part["features"]] == [
        ("processed", one["properties"]["width"] // 2) for one in part["features"]
    ]
    assert all(one["properties"]["output_key"] for one in part["features"])


def test_geojson_has_a_feature_also_for_an_image_that_no_run_has_seen(imgflow: Cli, album: Path) -> None:
    later = Path("later", "zoo.jpg")
    later.parent.mkdir()
    later.write_bytes(exifs.photograph())
    imgflow("ingest", "later", "-m", "Demo")

    done = imgflow("export", "out", "-m", "Demo", "--format", "geojson")
    features = json.loads(Path("out/photographs.geojson").read_text(encoding="utf-8"))["features"]

    assert "6 features, 3 with a position" in done.out
    assert [one for one in features if one["properties"]["image"] == "zoo.jpg"] == [
        {"type": "Feature", "geometry": None, "properties": {"image": "zoo.jpg"}}
    ]


def test_geojson_has_what_a_table_holds_whatever_that_is(imgflow: Cli, album: Path) -> None:
    told = {
        "file": ["may-1.jpg"],
        "Latitude": [50.5],
        "LONGITUDE": [Decimal("8.25")],
        "price": [Decimal("1.50")],
        "vector": [[1.0, float("nan")]],
        "day": [{"of": date(2026, 5, 1)}],
    }
    pq.write_table(pa.table(told), "album/told.parquet")
    assert imgflow("ingest", "album/told.parquet", "-m", "Demo", "--path", "file").code == 0

    done = imgflow("export", "out", "-m", "Demo", "--format", "geojson", "--where", "price > 1")

    assert done.code == 0, done.err
    [feature] = json.loads(Path("out/photographs.geojson").read_text(encoding="utf-8"))["features"]
    assert feature["geometry"]["coordinates"][:2] == [8.25, 50.5]
    assert {name: feature["properties"].get(name) for name in ("price", "vector", "day", "Latitude", "LONGITUDE")} == {
        "price": 1.5,
        "vector": [1.0, None],
        "day": {"of": "2026-05-01"},
        "Latitude": None,
        "LONGITUDE": None,
    }


@pytest.mark.parametrize("chosen", [(), ("--where", "status = 'neu'")])
def test_geojson_keeps_columns_that_are_called_like_those_of_results(
    imgflow: Cli, album: Path, chosen: tuple[str, ...]
) -> None:
    Path("album/told.csv").write_text("file,status,width\nmay-1.jpg,neu,7\n")
    imgflow("ingest", "album/told.csv", "-m", "Demo", "--path", "file")

    imgflow("export", "out", "-m", "Demo", "--format", "geojson", "--results", *chosen)
    features = json.loads(Path("out/photographs.geojson").read_text(encoding="utf-8"))["features"]
    [told] = [one["properties"] for one in features if one["properties"]["image"] == "may-1.jpg"]

    assert (told["catalog_status"], told["status"]) == ("neu", "processed")
    assert (told["catalog_width"], told["width"]) == (7, 96)


def test_geojson_passes_over_an_image_whose_name_is_not_utf_8(imgflow: Cli, album: Path) -> None:
    images = Path(".imgflow", keys.images("Demo"))
    shutil.copy(images / "may-1.jpg", os.fsencode(images) + b"/\xfc.jpg")

    done = imgflow("export", "out", "-m", "Demo", "--format", "geojson")

    assert "5 features, 3 with a position" in done.out


def test_geojson_tells_programs_where_it_is_and_is_never_written_into_the_store(imgflow: Cli, album: Path) -> None:
    done = imgflow("export", "out", "-m", "Demo", "--format", "geojson", "-o", "json")
    refused = imgflow("export", ".imgflow/results", "-m", "Demo", "--format", "geojson")

    assert done.json["features"] == 5
    assert [path.name for path in Path("out").iterdir()] == ["photographs.geojson"]
    assert done.json["with_position"] == 3
    assert Path(done.json["file"]).samefile("out/photographs.geojson")
    assert refused.code == 2
    assert "part of the store" in refused.err
