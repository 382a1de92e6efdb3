"""boxes: people say what redact covers as well; only the images they name are computed anew, and nothing fails open."""

from __future__ import annotations

import csv
import io
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from tests import finders

from imgflow_steps.records import keys
from imgflow_steps.records.results import read_jsonl
from imgflow_steps.records.run import load
from imgflow_steps.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.records.row import Row

FACE = ("face", 0.9, 16.0, 16.0, 16.0, 24.0)
WIDTH, HEIGHT = 96, 64
HEADER = "image,label,x0,y0,x1,y1\n"


def noise(seed: int, orientation: int = 1) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", exif=exif)
    return out.getvalue()


@pytest.fixture
def city(store: Store, tmp_path: Path) -> Store:
    """Three photographs, and a pipeline whose model finds the same face in each."""
    for name in "abc":
        store.write(keys.images("Demo") + f"{name}.png", noise(ord(name)))
    steps = [{"infer": {"model": str(finders.constant(tmp_path, FACE))}}, {"redact": {"margin": 0}}]
    Path("both.yaml").write_text(yaml.safe_dump({"steps": steps, "output": "png"}))
    Path("alone.yaml").write_text(yaml.safe_dump({"steps": [{"redact": {"margin": 0}}], "output": "png"}))
    return store


def give(imgflow: Cli, text: str, *flags: str) -> Any:
    Path("boxes.csv").write_text(text)
    return imgflow("boxes", "boxes.csv", "-m", "Demo", *flags)


def submit(imgflow: Cli, run: str, pipeline: str = "both", *flags: str) -> dict[str, int]:
    done = imgflow(
        *("submit", "--pipeline", f"{pipeline}.yaml", "-m", "Demo", "--run", run, "--workers", "1"),
        *("-q", "-o", "json", *flags),
    )
    assert done.out, done.err
    counts: dict[str, int] = done.json["counts"]
    return {name: counts[name] for name in ("processed", "cached", "rejected")}


def rows(store: Store, run: str) -> dict[str, Row]:
    store.download(keys.results_jsonl(run), path := Path("results.jsonl"))
    return {row.image: row for row in read_jsonl(path)}


def covered(store: Store, run: str, image: str) -> tuple[int, int, int, int] | None:
    """Around all gray pixels of a picture, of which noise has none beside another."""
    [output] = rows(store, run)[image].outputs
    gray = (np.asarray(Image.open(io.BytesIO(store.read(output.key)))) == 128).all(axis=2)
    y, x = np.nonzero(gray)
    return (int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1) if len(x) > 9 else None


def test_only_images_whose_boxes_differ_are_computed_anew_and_they_are_covered(imgflow: Cli, city: Store) -> None:
    assert submit(imgflow, "one") == {"processed": 3, "cached": 0, "rejected": 0}
    done = give(imgflow, HEADER + "b.png,plate,64,40,88,56\n")
    assert (done.code, done.out) == (0, "Demo: 1 box in 1 image\n")

    assert submit(imgflow, "two") == {"processed": 1, "cached": 2, "rejected": 0}
    assert load(city, "one").digest == load(city, "two").digest
    assert covered(city, "two", "a.png") == (16, 16, 32, 40)
    assert covered(city, "two", "b.png") == (16, 16, 88, 56)
    assert submit(imgflow, "three") == {"processed": 0, "cached": 3, "rejected": 0}

    give(imgflow, HEADER + "b.png,plate,64,40,88,56\nc.png,,72,8,80,16\n")
    assert submit(imgflow, "four") == {"processed": 1, "cached": 2, "rejected": 0}
    give(imgflow, HEADER + "b.png,plate,64,40,88,48\nc.png,,72,8,80,16\n")
    assert submit(imgflow, "less") == {"processed": 1, "cached": 2, "rejected": 0}
    assert covered(city, "less", "b.png") == (16, 16, 88, 48)
    assert imgflow("boxes", "-m", "Demo", "--remove").out == "Demo: boxes removed\n"
    assert submit(imgflow, "five") == {"processed": 2, "cached": 1, "rejected": 0}
    assert covered(city, "five", "b.png") == (16, 16, 32, 40)


def test_a_pipeline_that_covers_nothing_is_not_computed_anew(imgflow: Cli, city: Store) -> None:
    Path("plain.yaml").write_text(yaml.safe_dump({"steps": ["grayscale"], "output": "png"}))
    submit(imgflow, "one", "plain")
    give(imgflow, HEADER + "b.png,plate,64,40,88,56\n")
    assert submit(imgflow, "two", "plain") == {"processed": 0, "cached": 3, "rejected": 0}


def test_without_a_model_what_nobody_looked_at_is_rejected(imgflow: Cli, city: Store) -> None:
    refused = imgflow("submit", "--pipeline", "alone.yaml", "-m", "Demo")
    assert (refused.code, "nobody gave boxes for Demo" in refused.err) == (2, True)

    give(imgflow, HEADER + "a.png,face,8,8,24,24\nb.png,,,,,\n")
    assert submit(imgflow, "mine", "alone") == {"processed": 2, "cached": 0, "rejected": 1}
    assert covered(city, "mine", "a.png") == (8, 8, 24, 24)
    assert covered(city, "mine", "b.png") is None
    assert rows(city, "mine")["c.png"].code == "no-finder"
    assert not [one.key for one in city.entries("results/") if "c.png" in one.key and "/images/" in one.key]

    give(imgflow, HEADER + "a.png,face,8,8,24,24\nb.png,,,,,\nc.png,face,0,0,8,8\n")
    assert submit(imgflow, "more", "alone") == {"processed": 1, "cached": 2, "rejected": 0}
    imgflow("boxes", "-m", "Demo", "--remove")
    again = imgflow("retry", "more", "--rejected")
    assert (again.code, "nobody gave boxes" in again.err) == (2, True)


def test_a_box_is_in_pixels_of_the_upright_photograph(imgflow: Cli, city: Store) -> None:
    city.write(keys.images("Demo") + "t.png", noise(7, orientation=6))  # stands, 64 x 96
    give(imgflow, HEADER + "t.png,face,40,72,56,88\n")
    submit(imgflow, "mine", "alone")
    assert covered(city, "mine", "t.png") == (40, 72, 56, 88)


def test_a_box_beside_its_picture_publishes_nothing_of_it(imgflow: Cli, city: Store) -> None:
    give(imgflow, HEADER + "a.png,face,500,500,600,600\nb.png,face,88,56,200,200\n")
    assert submit(imgflow, "mine") == {"processed": 2, "cached": 0, "rejected": 1}
    row = rows(city, "mine")["a.png"]
    assert (row.code, row.outputs, row.thumbs) == ("box-outside", [], [""])
    assert covered(city, "mine", "b.png") == (16, 16, 96, 64), "what is partly inside is covered there"


@pytest.mark.parametrize("harm", [lambda text: text[: text.rindex(b"\n", 0, -1) + 1], lambda text: text[:-7]])
def test_a_table_that_is_damaged_ends_the_run_before_anything_is_published(
    imgflow: Cli, city: Store, harm: Any
) -> None:
    give(imgflow, HEADER + "a.png,face,8,8,24,24\nb.png,face,8,8,24,24\n")
    city.write(keys.boxes("Demo"), harm(city.read(keys.boxes("Demo"))))
    done = imgflow("submit", "--pipeline", "both.yaml", "-m", "Demo", "--run", "mine", "--workers", "1")
    assert done.code != 0
    assert "datasets/Demo/boxes.jsonl" in done.err
    assert "are damaged" in done.err
    assert not [one.key for one in city.entries("results/")]
    assert give(imgflow, HEADER + "a.png,face,8,8,24,24\n").code == 0
    assert submit(imgflow, "mine")["processed"] == 3


def test_an_image_that_is_not_there_is_refused_or_is_told_of(imgflow: Cli, city: Store) -> None:
    give(imgflow, HEADER + "a.png,face,8,8,24,24\n")
    before = city.read(keys.boxes("Demo"))
    refused = give(imgflow, HEADER + "a.png,face,1,1,2,2\nA.png,face,8,8,24,24\n")
    assert (refused.code, "names 1 image not in" in refused.err, "A.png" in refused.err) == (2, True, True)
    assert city.read(keys.boxes("Demo")) == before
    assert give(imgflow, HEADER + "A.png,face,8,8,24,24\n", "--ahead").code == 0
    planned = imgflow("plan", "--pipeline", "both.yaml", "-m", "Demo")
    assert "boxes given for 0 images; 1 more image of the table not listed" in planned.out
    submit(imgflow, "mine")
    assert "1 more image of the table not listed" in imgflow("get", "mine").out
    city.write(keys.images("Demo") + "A.png", noise(3))
    submit(imgflow, "later")
    assert covered(city, "later", "A.png") == (8, 8, 32, 40)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER + "a.png,face,8,8,24,\n", "row 1: a coordinate is empty"),
        (HEADER + "a.png,face,8,8,24,24\na.png,face,8,8,far,24\n", "row 2: 'far' is not a number"),
        (HEADER + "a.png,face,24,8,8,24\n", "row 1: x1 and y1 must be greater"),
        (HEADER + "a.png,,,,,\na.png,face,8,8,24,24\n", "nothing is to be covered in a.png, and other rows"),
        (HEADER + ",face,8,8,24,24\n", "row 1: it names no image"),
        ("image,x0,y0\na.png,1,2\n", "has the columns image, x0, y0"),
        (HEADER + 'a.png,"face,8,8,24,24\n', "cannot be read"),
        (HEADER, "has no rows"),
    ],
)
def test_a_table_with_one_fault_changes_nothing(imgflow: Cli, city: Store, text: str, said: str) -> None:
    give(imgflow, HEADER + "b.png,face,8,8,24,24\n")
    before = city.read(keys.boxes("Demo"))
    refused = give(imgflow, text)
    assert (refused.code, said in refused.err) == (2, True), refused.err
    assert city.read(keys.boxes("Demo")) == before


def test_csv_excel_parquet_and_what_query_gives_are_the_same_table(imgflow: Cli, city: Store) -> None:
    give(imgflow, HEADER + "a.png,face,8.5,8,24,24\n")
    expected = city.read(keys.boxes("Demo"))
    names = ["image", "label", "x0", "y0", "x1", "y1"]
    book = openpyxl.Workbook()
    for row in (names, ["a.png", "face", 8.5, 8, 24, 24]):
        book.worksheets[0].append(row)
    book.save("boxes.xlsx")
    columns = dict(zip(names, [["a.png"], ["face"], [8.5], [8], [24], [24]], strict=True))
    pq.write_table(pa.table(columns), "boxes.parquet")
    Path("comma.csv").write_text("image;label;x0;y0;x1;y1\na.png;face;8,5;8;24;24\n")
    Path("sides.csv").write_text("image,label,score,x,y,w,h\na.png,face,0.3,8.5,8,15.5,16\n")
    for table in ("boxes.xlsx", "boxes.parquet", "comma.csv", "sides.csv"):
        assert imgflow("boxes", table, "-m", "Demo").code == 0
        assert city.read(keys.boxes("Demo")) == expected, table


def test_what_is_printed_can_be_given_again(imgflow: Cli, city: Store) -> None:
    give(imgflow, HEADER + "a.png,face,8.5,8,24,24\nb.png,,,,,\n")
    before = city.read(keys.boxes("Demo"))
    printed = imgflow("boxes", "-m", "Demo", "-o", "csv").out
    assert list(csv.reader(io.StringIO(printed)))[1:] == [
        ["a.png", "face", "8.5", "8", "24", "24"],
        ["b.png", "", "", "", "", ""],
    ]
    assert give(imgflow, printed).code == 0
    assert city.read(keys.boxes("Demo")) == before
    assert imgflow("boxes", "-m", "Demo", "-o", "json").json[1] == {
        "image": "b.png", **dict.fromkeys(("label", "x0", "y0", "x1", "y1"))
    }  # fmt: skip


def test_where_no_boxes_are_given_that_is_said_instead_of_a_bare_header(imgflow: Cli, city: Store) -> None:
    none = imgflow("boxes", "-m", "Demo")

    assert (none.code, none.out) == (0, "")
    assert "no boxes are given for Demo yet; `imgflow boxes --help` shows how" in none.err
    assert imgflow("boxes", "-m", "Demo", "-o", "csv").out == HEADER


def test_programs_get_one_document_of_what_was_given_or_removed(imgflow: Cli, city: Store) -> None:
    given = give(imgflow, HEADER + "a.png,face,8,8,24,24\nb.png,,,,,\n", "-o", "json")
    removed = [imgflow("boxes", "-m", "Demo", "--remove", "-o", "json").json for _ in range(2)]

    assert given.json == {"municipality": "Demo", "images": 2, "boxes": 1}
    assert [one["removed"] for one in removed] == [True, False]


def test_verify_report_why_and_query_tell_a_box_by_people_from_one_of_a_model(imgflow: Cli, city: Store) -> None:
    give(imgflow, HEADER + "a.png,face,64,40,88,56\n")
    submit(imgflow, "one")
    give(imgflow, HEADER + "a.png,face,64,40,88,56\nb.png,plate,64,40,88,56\n")
    submit(imgflow, "two")

    verified = imgflow("verify", "two", "-o", "json").json
    assert (verified["ok"], verified["covered"], verified["manual"]) == (True, 5, 2)
    assert "2 boxes of them given by people" in imgflow("verify", "two").out
    page = city.read("runs/two/report/index.html").decode()
    assert "3 boxes that models found" in page
    assert "2 boxes in 2" in page
    told = imgflow("why", "b.png", "-m", "Demo").out
    assert "people gave other boxes for it: 1 box, was none" in told
    assert "1 box to cover (plate)" in told
    assert "no run has listed this version" not in told
    assert "1 plate (by people); 1 face (objects); 2 covered" in told
    asked = "SELECT name, model IS NULL AS hand, label FROM findings WHERE image = 'b.png' ORDER BY 1"
    found = imgflow("query", asked, "-o", "csv")
    assert found.out.split() == ["name,hand,label", "manual,True,plate", "objects,False,face"]


def test_files_that_are_known_by_content_are_known_again_with_their_boxes(imgflow: Cli, city: Store) -> None:
    give(imgflow, HEADER + "a.png,face,64,40,88,56\n")
    submit(imgflow, "one", "both", "--checksum")
    assert "no run has listed this version" not in imgflow("why", "a.png", "-m", "Demo").out
    city.write(keys.images("Demo") + "a.png", city.read(keys.images("Demo") + "a.png"))
    assert submit(imgflow, "two", "both", "--checksum") == {"processed": 0, "cached": 3, "rejected": 0}


def test_a_box_by_people_that_is_changed_in_every_row_is_found_by_verify(imgflow: Cli, city: Store) -> None:
    give(imgflow, HEADER + "a.png,face,64,40,88,56\n")
    submit(imgflow, "mine")
    [key] = [one.key for one in city.entries(load(city, "mine").rows)]

    def found(old: bytes, new: bytes) -> list[str]:
        for place in (key, keys.results_jsonl("mine")):
            assert old in city.read(place)
            city.write(place, city.read(place).replace(old, new))
        said = imgflow("verify", "mine", "-o", "json").json["findings"]
        assert {one["image"] for one in said} <= {"a.png"}
        return [one["fault"] for one in said]

    assert found(b'["face",1.0,64.0,', b'["face",1.0,72.0,') == ["row", "other"]
    assert found(b'["face",1.0,72.0,', b'["face",1.0,64.0,') == []
    assert found(b"64.0,40.0,24.0,", b"64.0,40.0,23.0,") == ["row"], "on the grid the picture is the same"


def test_the_example_of_the_docs_covers_what_its_table_says(imgflow: Cli, store: Store) -> None:
    text = (
        (Path(__file__).parents[2] / "docs/redaction.md")
        .read_text(encoding="utf-8")
        .partition("## Boxes that people give")[2]
    )
    [table], [commands] = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("csv", "sh"))
    for name in ("market/001.png", "market/002.png"):
        store.write(keys.images("Delft") + name, noise(len(name)))
    Path("boxes.csv").write_text(table)
    Path("covers.yaml").write_text(yaml.safe_dump({"steps": [{"redact": {"margin": 0}}], "output": "png"}))
    for line in commands.splitlines():
        done = imgflow(*shlex.split(line)[1:])
        assert done.code == 0, done.err
    [run] = store.folders("runs/")
    assert covered(store, run, "market/001.png") == (40, 8, 96, 64)
    assert covered(store, run, "market/002.png") is None


def test_boxes_of_a_source_elsewhere_are_checked_and_covered_there(imgflow: Cli, store: Store, city: Store) -> None:
    Path("photos").mkdir()
    Path("photos/x.png").write_bytes(noise(1))
    Path("boxes.csv").write_text(HEADER + "x.png,face,8,8,24,24\n")
    assert imgflow("boxes", "boxes.csv", "-m", "Away", "--source", "photos").code == 0
    done = imgflow(*("submit", "--pipeline", "alone.yaml", "-m", "Away", "--source", "photos", "--run", "away", "-q"))
    assert done.code == 0, done.err
    assert covered(city, "away", "x.png") == (8, 8, 24, 24)
