"""evaluate: a run against a truth, in each way in which a truth is written."""

from __future__ import annotations

import codecs
import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import found

from imgflow_steps.contract.job import Counts
from imgflow_steps.records import keys
from imgflow_steps.records.row import Published, Status
from imgflow_steps.records.summary import Phase, Summary

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.made_runs import MadeRun

THERE = {  # image -> label, left, upper, width, height; of 400 x 200
    "a.jpg": [("face", 10, 10, 20, 20), ("plate", 100, 100, 60, 20)],
    "d/b.jpg": [("face", 200, 50, 100, 100)],
    "c.jpg": [],
}
SIZE = (400, 200)


def collected(run: MadeRun, *rows: Any) -> None:
    """A run at its end, with these verdicts."""
    text = "".join(row.model_dump_json() + "\n" for row in rows)
    run.store.write(keys.results_jsonl(run.run.id), text.encode())
    counts = Counts(listed=len(rows), processed=len(rows))
    told = {"run": run.run.id, "municipality": "Utrecht", "digest": run.run.digest, "counts": counts, "exit": 0}
    summary = Summary.model_validate({**told, "status": Phase.SUCCEEDED, "report": "x"})
    run.store.write(keys.summary_json(run.run.id), summary.model_dump_json().encode())


def made(*steps: Any) -> MadeRun:
    """A run that found a.jpg's face and not its plate, b's face at another place, and one in c.jpg."""
    run = found.made(Path(".imgflow"), *steps)
    said = {
        "a.jpg": [["face", 0.9, 11.0, 10.0, 20.0, 20.0]],
        "c.jpg": [["face", 0.3, 0.0, 0.0, 8.0, 8.0]],
        "d/b.jpg": [["face", 0.8, 10.0, 50.0, 100.0, 100.0]],
        "other.jpg": [],
    }
    found.add(run, {image: {"objects": found.things(*boxes)} for image, boxes in said.items()})
    with_boxes = [
        run.row(image, width=400, height=200, outputs=_outputs(found.things(*boxes))) for image, boxes in said.items()
    ]
    collected(run, *with_boxes, run.row("rejected.jpg", Status.REJECTED))
    return run


def _outputs(said: dict[str, Any]) -> Any:
    return [Published(key="", sha256="", width=400, height=200, found={"objects": said})]


@pytest.fixture
def run() -> MadeRun:
    return made()


def coco(path: str = "truth.json", size: tuple[int, int] = SIZE, there: Any = THERE) -> str:
    images = [{"id": i, "file_name": name, "width": size[0], "height": size[1]} for i, name in enumerate(there)]
    scale = size[0] / SIZE[0]
    boxes = [
        {"id": 0, "image_id": i, "category_id": 1 + (label == "plate"), "bbox": [side * scale for side in box]}
        for i, boxes in enumerate(there.values())
        for label, *box in boxes
    ]
    names = [{"id": 1, "name": "face"}, {"id": 2, "name": "plate"}]
    Path(path).write_text(json.dumps({"images": images, "annotations": boxes, "categories": names}))
    return path


def yolo() -> str:
    Path("truth/labels/d").mkdir(parents=True)
    Path("truth/data.yaml").write_text("names: [face, plate]\n")
    for image, boxes in THERE.items():
        lines = [
            f"{int(label == 'plate')} {(x + w / 2) / 400} {(y + h / 2) / 200} {w / 400} {h / 200}\n"
            for label, x, y, w, h in boxes
        ]
        Path("truth/labels", image).with_suffix(".txt").write_text("".join(lines))
    return "truth"


def rows() -> list[list[Any]]:
    return [[image, *box] for image, boxes in THERE.items() for box in boxes or [("", 0, 0, 0, 0)]]


def as_csv() -> str:
    with Path("truth.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "label", "x", "y", "w", "h"], *rows()])
    return "truth.csv"


def as_parquet() -> str:
    names = ["image", "label", "x", "y", "w", "h"]
    table = pa.table(dict(zip(names, map(list, zip(*rows(), strict=True)), strict=True)))
    pq.write_table(table, "truth.parquet")
    return "truth.parquet"


def as_german_csv() -> str:
    cells = [[str(cell).replace(".", ",") if i > 1 else cell for i, cell in enumerate(row)] for row in rows()]
    with Path("truth.csv").open("w", newline="", encoding="cp1252") as file:
        csv.writer(file, delimiter=";").writerows(
            [["image", "label", "x", "y", "w", "h"], *cells, ["Süd.jpg", *[""] * 5]]
        )
    return "truth.csv"


def test_a_table_as_a_german_excel_writes_it_says_the_same(imgflow: Cli, run: MadeRun) -> None:
    plain = imgflow("evaluate", "@latest", as_csv(), "-o", "json").json
    german = imgflow("evaluate", "@latest", as_german_csv(), "-o", "json").json

    assert plain["labels"] == german["labels"]
    assert "Süd.jpg" in german["not_compared"]


def test_a_table_without_the_columns_of_boxes_is_told_which_it_has(imgflow: Cli, run: MadeRun) -> None:
    Path("truth.csv").write_text("Datei,label\na.jpg,face\n")

    done = imgflow("evaluate", "@latest", "truth.csv")

    assert done.code == 2
    assert "it has the columns Datei, label, and needs image, label, x, y, w, h" in done.err
    assert "KeyError" not in done.err


@pytest.mark.parametrize("write", [coco, yolo, as_csv, as_parquet])
def test_a_truth_is_read_however_it_is_written(imgflow: Cli, run: MadeRun, write: Any) -> None:
    told = imgflow("evaluate", "@latest", write(), "-o", "json").json

    assert told["images"] == 3
    assert told["unlabelled"] == 1
    assert told["labels"]["face"] == {
        "truth": 2,
        "tp": 1,
        "fp": 2,
        "fn": 1,
        "precision": 0.3333,
        "recall": 0.5,
        "ap": 0.505,
    }
    assert told["labels"]["plate"]["recall"] == 0.0
    assert told["all"]["ap"] == 0.2525
    assert told["confusion"] == [
        {"truth": None, "found": "face", "count": 2},
        {"truth": "face", "found": None, "count": 1},
        {"truth": "face", "found": "face", "count": 1},
        {"truth": "plate", "found": None, "count": 1},
    ]
    assert told["sides"][1] == {"side": "16 to 32", "truth": 1, "fn": 0}
    assert "covered" not in told["all"]


def test_a_truth_of_pictures_of_another_size_is_scaled(imgflow: Cli, run: MadeRun) -> None:
    large = imgflow("evaluate", "@latest", coco(size=(800, 400)), "-o", "json").json

    assert large == imgflow("evaluate", "@latest", coco(), "-o", "json").json


def test_a_truth_of_pictures_that_were_not_turned_is_refused(imgflow: Cli, run: MadeRun) -> None:
    done = imgflow("evaluate", "@latest", coco(size=(200, 400)))

    assert done.code == 2
    assert "a.jpg is 400 x 200 upright, and was labelled as 200 x 400" in done.err


def test_less_certain_boxes_are_left_out_when_asked(imgflow: Cli, run: MadeRun) -> None:
    told = imgflow("evaluate", "@latest", coco(), "--score", "0.5", "-o", "json").json

    assert told["labels"]["face"]["fp"] == 1


def test_of_a_run_with_redact_it_is_told_how_much_is_covered(imgflow: Cli) -> None:
    made({"infer": {"model": found.FACES}}, {"redact": {"margin": 50}})
    there = {**THERE, "a.jpg": [*THERE["a.jpg"], ("face", 2, 2, 10, 10)]}

    done = imgflow("evaluate", "@latest", coco(there=there), "-o", "json").json
    shown = imgflow("evaluate", "@latest", coco(there=there)).out

    assert (done["labels"]["face"]["covered"], done["labels"]["face"]["truth"]) == (2, 3)
    assert done["labels"]["plate"]["coverage"] == 0.0
    assert shown.splitlines()[0].endswith("COVERED")
    assert max(map(len, shown.splitlines())) <= 80


def test_images_that_cannot_be_compared_are_counted_and_named(imgflow: Cli, run: MadeRun) -> None:
    there = {**THERE, "rejected.jpg": [], "nobody.jpg": []}

    done = imgflow("evaluate", "@latest", coco(there=there))
    told = imgflow("evaluate", "@latest", coco(there=there), "-o", "json").json

    assert "of the truth, not in the run: 1 image, such as nobody.jpg" in done.err
    assert (told["absent"], told["unprocessed"]) == (1, 1)
    assert told["not_compared"] == ["nobody.jpg", "rejected.jpg"]


def test_a_page_tells_the_same_without_a_script(imgflow: Cli, run: MadeRun) -> None:
    there = {**THERE, "a.jpg": [*THERE["a.jpg"], ("<b>face", 300, 100, 10, 10)]}
    path = Path(coco(there=there))
    path.write_text(path.read_text().replace('"name": "face"', '"name": "<b>face"'))

    done = imgflow("evaluate", "@latest", str(path), "--page", "page.html")

    page = Path("page.html").read_text()
    assert done.code == 0
    assert "&lt;b&gt;" in page.replace("&#60;", "&lt;").replace("&#62;", "&gt;")
    assert "<b>face" not in page
    assert "<script" not in page
    assert "Missed by size" in page


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as boxes"),
        ('{"images": []}', "cannot be read as boxes"),
        ('{"images": [], "annotations": [], "categories": []}', "no image of the truth"),
    ],
)
def test_what_is_no_truth_gives_one_error(imgflow: Cli, run: MadeRun, text: str, said: str) -> None:
    Path("truth.json").write_text(text)

    done = imgflow("evaluate", "@latest", "truth.json")

    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize("box", ["10,10,-5,20", "10,10,5,-20", "nan,10,5,5", "10,10,inf,5"])
def test_a_box_that_is_none_is_named_with_its_image(imgflow: Cli, run: MadeRun, box: str) -> None:
    Path("truth.csv").write_text(f"image,label,x,y,w,h\na.jpg,face,{box}\n")

    done = imgflow("evaluate", "@latest", "truth.csv")

    assert done.code == 2
    assert "truth.csv: a.jpg has a box at" in done.err


def test_a_box_without_an_area_is_there_and_neither_found_nor_covered(imgflow: Cli) -> None:
    made({"infer": {"model": found.FACES}}, {"redact": {"labels": ["face"]}})

    told = imgflow("evaluate", "@latest", coco(there={"a.jpg": [("face", 12, 12, 0, 4)]}), "-o", "json").json

    face = told["labels"]["face"]
    assert (face["truth"], face["tp"], face["fn"], face["covered"]) == (1, 0, 1, 0)


def test_an_outline_of_yolo_counts_as_the_box_around_it(imgflow: Cli, run: MadeRun) -> None:
    folder = Path(yolo())
    corners = ["0.0275 0.1", "0.0775 0.05", "0.0275 0.05", "0.05 0.15"]  # of a.jpg's face as the run found it
    Path(folder, "labels/a.txt").write_text(f"0 {' '.join(corners)}\n")

    told = imgflow("evaluate", "@latest", str(folder), "--iou", "0.99", "-o", "json").json

    assert told["labels"]["face"]["tp"] == 1


@pytest.mark.parametrize("write", [coco, yolo, as_csv])
def test_a_truth_may_begin_with_a_byte_order_mark(imgflow: Cli, run: MadeRun, write: Any) -> None:
    truth = Path(write())
    for path in truth.rglob("*.*") if truth.is_dir() else [truth]:
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())

    assert imgflow("evaluate", "@latest", str(truth), "-o", "json").json["labels"]["face"]["truth"] == 2


def test_names_of_a_folder_of_yolo_are_what_is_written(imgflow: Cli, run: MadeRun) -> None:
    folder = Path(yolo())
    Path(folder, "data.yaml").write_text("names: [on, 2]\n")

    labels = imgflow("evaluate", "@latest", str(folder), "-o", "json").json["labels"]

    assert set(labels) == {"face", "on", "2"}


def test_a_finder_that_the_run_does_not_have_gives_one_error(imgflow: Cli, run: MadeRun) -> None:
    done = imgflow("evaluate", "@latest", coco(), "--name", "plates")

    assert done.code == 2
    assert "nothing called plates; it has objects" in done.err


def test_a_run_against_its_own_boxes_is_wholly_right(imgflow: Cli, run: MadeRun) -> None:
    images = {
        "a.jpg": [("face", 11, 10, 20, 20)],
        "d/b.jpg": [("face", 10, 50, 100, 100)],
        "c.jpg": [("face", 0, 0, 8, 8)],
    }

    told = imgflow("evaluate", "@latest", coco(there=images), "-o", "json").json

    assert (told["all"]["precision"], told["all"]["recall"], told["all"]["ap"]) == (1.0, 1.0, 1.0)


def test_boxes_that_people_gave_count_as_covered_and_not_as_found(imgflow: Cli) -> None:
    run = made({"infer": {"model": found.FACES}}, {"redact": {"labels": ["face"], "score": 0.5}})
    coco()
    before = imgflow("evaluate", "@latest", "truth.json", "-o", "json").json
    assert (before["labels"]["plate"]["covered"], before["labels"]["plate"]["tp"]) == (0, 0)

    given = {"manual": found.things(["object", 1.0, 100.0, 100.0, 60.0, 20.0])}
    row = run.row("a.jpg", width=400, height=200)
    row.outputs = [
        Published(
            key="",
            sha256="",
            width=400,
            height=200,
            found=given | {"objects": found.things(["face", 0.9, 11, 10, 20, 20])},
        )
    ]
    collected(run, row)
    after = imgflow("evaluate", "@latest", "truth.json", "-o", "json").json
    assert (after["labels"]["plate"]["covered"], after["labels"]["plate"]["tp"]) == (1, 0)
    assert (after["all"]["fp"], after["all"]["tp"]) == (0, 1)
