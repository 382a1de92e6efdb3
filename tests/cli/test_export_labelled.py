"""export --as: pictures with what was found in them, read back as the programs that are meant would read them."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tests import found, photographs

from imgflow_steps.records import keys
from imgflow_steps.records.row import Published, Status
from imgflow_steps.records.run import save

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.made_runs import MadeRun

HALF = (2.0, 0.0, 0.0, 0.0, 2.0, 0.0)  # a picture of half the photograph's size
RIGHT = (2.0, 0.0, 100.0, 0.0, 2.0, 0.0)  # the same, cut off at the left
THINGS = found.things(["plate", 0.9, 20.0, 10.0, 40.0, 20.0], ["face", 0.5, 100.0, 80.0, 60.0, 30.0])


def stored(run: MadeRun, image: str, piece: str = "") -> str:
    key = keys.published(run.run.municipality, run.run.digest, image, piece, "jpg")
    run.store.write(key, photographs.jpeg(len(image)))
    return key


def published(run: MadeRun, image: str, said: dict[str, Any], piece: str = "", at: Any = HALF) -> Published:
    key = stored(run, image, piece)
    return Published(key=key, sha256="", width=80, height=60, piece=piece, at=at, found=said)


@pytest.fixture
def run() -> MadeRun:
    """a.jpg with a plate and a face, b.c.jpg with nothing, no.jpg rejected, split.jpg in two pieces."""
    made = found.made(Path(".imgflow"))
    names = ["a.jpg", "d/b.c.jpg", "no.jpg", "split.jpg"]
    for number, name in enumerate(names):
        made.store.write(keys.images("Utrecht") + name, photographs.jpeg(number))
    made.list(names)
    same: dict[str, Any] = {"width": 160, "height": 120, "version": "x"}
    sizes = {name: len(photographs.jpeg(number)) for number, name in enumerate(names)}
    both = [published(made, "split.jpg", {"objects": THINGS}, "l"), published(made, "split.jpg", {}, "r", RIGHT)]
    both[1].found["objects"] = THINGS
    made.add(
        made.row("a.jpg", bytes=sizes["a.jpg"], outputs=[published(made, "a.jpg", {"objects": THINGS})], **same),
        made.row("d/b.c.jpg", bytes=sizes["d/b.c.jpg"], outputs=[published(made, "d/b.c.jpg", {})], **same),
        made.row("no.jpg", Status.REJECTED),
        made.row("split.jpg", bytes=sizes["split.jpg"], outputs=both, **same),
    )
    told = pa.table({"image": ["a.jpg", "split.jpg"], "year": [2012, 2013], "width": [1.5, float("nan")]})
    sink = io.BytesIO()
    pq.write_table(told, sink)
    made.store.write(keys.catalog("Utrecht"), sink.getvalue())
    return made


def files(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def test_coco_has_pictures_with_absolute_boxes_and_what_is_told(imgflow: Cli, run: MadeRun) -> None:
    done = imgflow("export", "out", "-m", "Utrecht", "--as", "coco", "-o", "json")

    document = json.loads(Path("out/labels.json").read_text())
    assert done.code == 0
    assert done.json["left_out"] == {"without a result": 1}
    assert files("out") == ["catalog.parquet", "data/a.jpg", "data/d/b.c.jpg", "data/split.jpg", "labels.json"]
    assert document["categories"] == [{"id": 1, "name": "face"}, {"id": 2, "name": "plate"}]
    assert [(one["id"], one["file_name"], one["width"], one["height"]) for one in document["images"]] == [
        (1, "a.jpg", 160, 120),
        (2, "d/b.c.jpg", 160, 120),
        (3, "split.jpg", 160, 120),
    ]
    assert document["images"][0]["catalog"] == {"year": 2012, "width": 1.5}
    assert document["images"][2]["catalog"] == {"year": 2013, "width": None}
    assert [one["image_id"] for one in document["annotations"]] == [1, 1, 3, 3]
    assert document["annotations"][1] == {
        "id": 2,
        "image_id": 1,
        "category_id": 1,
        "bbox": [100.0, 80.0, 60.0, 30.0],
        "area": 1800.0,
        "iscrowd": 0,
        "score": 0.5,
    }


def test_boxes_of_results_are_where_the_things_are_in_them(imgflow: Cli, run: MadeRun) -> None:
    assert imgflow("export", "out", "-m", "Utrecht", "--results", "--as", "coco").code == 0

    document = json.loads(Path("out/labels.json").read_text())
    boxes: dict[str, list[Any]] = {one["file_name"]: [] for one in document["images"]}
    names = {one["id"]: one["file_name"] for one in document["images"]}
    for one in document["annotations"]:
        boxes[names[one["image_id"]]].append(one["bbox"])
    assert boxes == {
        "a.jpg.jpg": [[10.0, 5.0, 20.0, 10.0], [50.0, 40.0, 30.0, 15.0]],
        "d/b.c.jpg.jpg": [],
        "split.jpg~l.jpg": [[10.0, 5.0, 20.0, 10.0], [50.0, 40.0, 30.0, 15.0]],
        "split.jpg~r.jpg": [[0.0, 40.0, 30.0, 15.0]],
    }
    assert set(boxes) == {name.removeprefix("data/") for name in files("out") if name.startswith("data/")}


def test_yolo_has_a_file_of_labels_for_each_picture(imgflow: Cli, run: MadeRun) -> None:
    assert imgflow("export", "out", "-m", "Utrecht", "--as", "yolo").code == 0

    told = yaml.safe_load(Path("out/data.yaml").read_text())
    listed = Path("out", told["train"]).read_text().split()
    assert told["names"] == {0: "face", 1: "plate"}
    assert [Path("out", name).is_file() for name in listed] == [True] * 3
    labels = [re.sub(r"^\./images/(.*)\.\w+$", r"out/labels/\1.txt", name) for name in listed]
    assert [Path(name).read_text().splitlines() for name in labels] == [
        ["1 0.250000 0.166667 0.250000 0.166667", "0 0.812500 0.791667 0.375000 0.250000"],
        [],
        ["1 0.250000 0.166667 0.250000 0.166667", "0 0.812500 0.791667 0.375000 0.250000"],
    ]


@pytest.mark.parametrize(
    "label", ["\N{RED APPLE} apple", "on", "1e3", 'a "b" \\c', "x: y # z", "\u2028", " \t", "\x7f"]
)
def test_labels_of_yolo_are_those_of_the_model_whatever_they_hold(imgflow: Cli, run: MadeRun, label: str) -> None:
    things = found.things([label, 0.9, 20.0, 10.0, 40.0, 20.0])
    run.add(
        run.row(
            "a.jpg",
            bytes=len(photographs.jpeg(0)),
            width=160,
            height=120,
            version="x",
            outputs=[published(run, "a.jpg", {"objects": things})],
            ended=1.8e9,
        )
    )

    assert imgflow("export", "out", "-m", "Utrecht", "--as", "yolo", "--where", "year = 2012").code == 0

    assert yaml.safe_load(Path("out/data.yaml").read_text())["names"] == {0: label}


def test_photographs_that_differ_by_their_suffix_have_labels_of_their_own(imgflow: Cli, run: MadeRun) -> None:
    run.store.write(keys.images("Utrecht") + "a.png", b"a PNG")
    run.list(["a.jpg", "a.png", "d/b.c.jpg", "no.jpg", "split.jpg"])
    run.add(run.row("a.png", bytes=5, format="png", width=10, height=10))

    assert imgflow("export", "out", "-m", "Utrecht", "--as", "yolo").code == 0

    assert {"labels/a.jpg.txt", "labels/a.png.txt"} <= set(files("out"))


def test_fiftyone_has_relative_boxes_by_the_names_of_pictures(imgflow: Cli, run: MadeRun) -> None:
    assert imgflow("export", "out", "-m", "Utrecht", "--as", "fiftyone", "--results").code == 0

    document = json.loads(Path("out/labels.json").read_text())
    stems = {name.removeprefix("data/").rpartition(".")[0] for name in files("out") if name.startswith("data/")}
    assert set(document["labels"]) == stems
    assert document["labels"]["d/b.c.jpg"] == []
    assert document["labels"]["a.jpg"][0] == {
        "label": "plate",
        "bounding_box": [0.125, 0.083333, 0.25, 0.166667],
        "confidence": 0.9,
    }


def samples(path: Path) -> dict[str, dict[str, bytes]]:
    """As WebDataset groups the files of a tar."""
    grouped: dict[str, dict[str, bytes]] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            base, suffix = re.fullmatch(r"((?:.*/|)[^.]+)[.]([^/]*)", member.name).groups()  # type: ignore[union-attr]
            file = tar.extractfile(member)
            assert file
            assert (member.mtime, member.uid, member.gid) == (0, 0, 0)
            grouped.setdefault(base, {})[suffix] = file.read()
    return grouped


def test_webdataset_has_a_sample_per_picture_and_the_same_bytes_again(
    imgflow: Cli, run: MadeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgflow_workflows.transfer.packs.PICTURES", 2)

    first = imgflow("export", "out", "-m", "Utrecht", "--as", "webdataset", "-o", "json").json
    again = imgflow("export", "out", "-m", "Utrecht", "--as", "webdataset", "-o", "json").json
    imgflow("export", "other", "-m", "Utrecht", "--as", "webdataset")

    packs = sorted(Path("out").glob("*.tar"))
    assert [path.name for path in packs] == ["pictures-000000.tar", "pictures-000001.tar"]
    assert (first["copied"], again["copied"], again["present"]) == (2, 0, 2)
    assert [path.read_bytes() for path in packs] == [Path("other", path.name).read_bytes() for path in packs]
    both = samples(packs[0])
    assert {name: set(one) for name, one in both.items()} == {
        "a%2Ejpg": {"jpg", "json"},
        "d/b%2Ec%2Ejpg": {"jpg", "json"},
    }
    assert both["a%2Ejpg"]["jpg"] == photographs.jpeg(0)
    told = json.loads(both["a%2Ejpg"]["json"])
    assert told["image"] == "a.jpg"
    assert told["catalog"] == {"year": 2012, "width": 1.5}
    assert told["boxes"][0] == {"label": "plate", "score": 0.9, "x": 20.0, "y": 10.0, "w": 40.0, "h": 20.0}


def test_parquet_has_bytes_boxes_and_the_catalog_s_columns(imgflow: Cli, run: MadeRun) -> None:
    assert imgflow("export", "out", "-m", "Utrecht", "--as", "parquet").code == 0

    table = pq.read_table("out/pictures-000000.parquet")
    first, second, _ = table.to_pylist()
    assert table.schema.field("year").type == pa.int64()
    assert first["picture"] == {"bytes": photographs.jpeg(0), "path": "a.jpg"}
    assert (first["width"], first["catalog_width"], first["year"]) == (160, 1.5, 2012)
    assert first["boxes"][1] == {"label": "face", "score": 0.5, "x": 100.0, "y": 80.0, "w": 60.0, "h": 30.0}
    assert (second["boxes"], second["year"]) == ([], None)


def test_packs_of_a_larger_export_are_not_left_beside_those_of_a_smaller_one(
    imgflow: Cli, run: MadeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("imgflow_workflows.transfer.packs.PICTURES", 1)
        imgflow("export", "out", "-m", "Utrecht", "--as", "parquet")

    done = imgflow("export", "out", "-m", "Utrecht", "--as", "parquet")

    assert done.code == 2
    assert "pictures-000001.parquet of an earlier export" in done.err


@pytest.mark.parametrize("form", ["coco", "webdataset"])
def test_what_is_gone_or_has_changed_is_named_and_told_of_nowhere(imgflow: Cli, run: MadeRun, form: str) -> None:
    run.store.delete([keys.images("Utrecht") + "a.jpg"])
    run.store.write(keys.images("Utrecht") + "split.jpg", b"another photograph")

    done = imgflow("export", "out", "-m", "Utrecht", "--as", form)

    assert done.code == 1
    assert "a.jpg: missing file: it is no longer in the dataset" in done.err
    assert "split.jpg: changed since the run: submit again" in done.err
    told = Path("out/labels.json").read_text() if form == "coco" else str(samples(Path("out/pictures-000000.tar")))
    assert "a.jpg" not in told
    assert "split" not in told


def test_a_damaged_result_is_told_of_nowhere(imgflow: Cli, run: MadeRun) -> None:
    output = published(run, "a.jpg", {"objects": THINGS}).model_copy(update={"sha256": "0" * 64})
    run.add(run.row("a.jpg", ended=1.8e9, width=160, height=120, outputs=[output]))

    done = imgflow("export", "out", "-m", "Utrecht", "--as", "coco", "--results")

    assert done.code == 1
    assert "a.jpg.jpg: not what the run made" in done.err
    assert "a.jpg" not in Path("out/labels.json").read_text()


def test_only_what_is_chosen_comes_out(imgflow: Cli, run: MadeRun) -> None:
    assert imgflow("export", "out", "-m", "Utrecht", "--as", "coco", "--where", "year = 2013").code == 0

    assert [one["file_name"] for one in json.loads(Path("out/labels.json").read_text())["images"]] == ["split.jpg"]


def test_photographs_of_elsewhere_come_out_as_results_only(imgflow: Cli, run: MadeRun) -> None:
    save(run.store, run.run.model_copy(update={"source": "/photos"}))

    done = imgflow("export", "out", "-m", "Utrecht", "--as", "coco")

    assert done.code == 2
    assert "add --results" in done.err
