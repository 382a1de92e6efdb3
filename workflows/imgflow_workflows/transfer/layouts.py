"""Pictures as files, and beside them what is in them: COCO, YOLO and FiftyOne.

COCO: cocodataset.org, "Data format". YOLO: docs.ultralytics.com, "Object detection datasets". FiftyOne:
docs.voxel51.com, "FiftyOneImageDetectionDataset". Their boxes begin at the left upper corner and have width and
height, in pixels (COCO) or as shares of the picture (FiftyOne), or are given by their middle as shares (YOLO).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imgflow_steps.records.findings import Box

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_workflows.transfer.items import Item

WRITES = 16  # files of labels written at the same time
AHEAD = 1000  # pictures whose labels are written together
PIXEL_DIGITS = 2
SHARE_DIGITS = 6
Items = Callable[[], "Iterator[Item]"]  # may be read more than once


class Layout(NamedTuple):
    """Where pictures lie, and what writes the rest."""

    folder: str
    write: Callable[[Store, Path, Items], None]


def _labels(items: Items) -> list[str]:
    """All labels, sorted."""
    return sorted({box.label for item in items() for box in item.boxes})


def _coco(store: Store, folder: Path, items: Items) -> None:
    numbers = {label: number for number, label in enumerate(_labels(items), 1)}
    path = folder / "labels.json"
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {"description": "imgflow export"}, "licenses": [], "categories": ')
        json.dump([{"id": number, "name": label} for label, number in numbers.items()], file)
        file.write(',\n"images": ')
        _write_list(file.write, (_coco_image(number, item) for number, item in enumerate(items(), 1)))
        file.write(',\n"annotations": ')
        boxes = ((number, box) for number, item in enumerate(items(), 1) for box in item.boxes)
        _write_list(
            file.write,
            (_coco_box(number, image, box, numbers[box.label]) for number, (image, box) in enumerate(boxes, 1)),
        )
        file.write("}\n")
    store.upload(path, path.name, "application/json")


def _coco_image(number: int, item: Item) -> dict[str, Any]:
    told = {"catalog": item.plain} if item.columns else {}
    return {
        "id": number,
        "file_name": item.name,
        "width": item.width,
        "height": item.height,
        "image": item.image,
        "piece": item.piece,
        **told,
    }


def _coco_box(number: int, image: int, box: Box, category: int) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [round(value, PIXEL_DIGITS) for value in box[2:]],
        "area": round(box.w * box.h, PIXEL_DIGITS),
        "iscrowd": 0,
        "score": box.score,
    }


def _write_list(write: Callable[[str], object], lines: Iterable[dict[str, Any]]) -> None:
    before = "[\n"
    for line in lines:
        write(before + json.dumps(line, allow_nan=False))
        before = ",\n"
    write("[]" if before == "[\n" else "\n]")


def shares(box: Box, item: Item) -> tuple[float, float, float, float]:
    """Left, upper, width and height as shares of the picture's sides."""
    return box.x / item.width, box.y / item.height, box.w / item.width, box.h / item.height


def _fiftyone(store: Store, folder: Path, items: Items) -> None:
    path = folder / "labels.json"
    with path.open("w", encoding="utf-8") as file:
        file.write('{"labels": {')
        before = "\n"
        for item in items():
            things = [
                {
                    "label": box.label,
                    "bounding_box": [round(value, SHARE_DIGITS) for value in shares(box, item)],
                    "confidence": box.score,
                }
                for box in item.boxes
            ]
            file.write(f"{before}{json.dumps(item.stem)}: {json.dumps(things)}")
            before = ",\n"
        file.write("}}\n")
    store.upload(path, path.name, "application/json")


def _yolo(store: Store, folder: Path, items: Items) -> None:
    numbers = {label: number for number, label in enumerate(_labels(items))}
    named = folder / "images.txt"

    def write(item: Item) -> str:
        lines = [f"{numbers[box.label]} {_middle(box, item)}\n" for box in item.boxes]
        store.write(f"labels/{item.stem}.txt", "".join(lines).encode(), "text/plain")
        return f"./images/{item.name}\n"

    with named.open("w", encoding="utf-8") as file, ThreadPoolExecutor(WRITES) as pool:
        waiting: list[Item] = []
        for item in items():
            waiting.append(item)
            if len(waiting) >= AHEAD:
                file.writelines(pool.map(write, waiting))
                waiting = []
        file.writelines(pool.map(write, waiting))
    store.upload(named, named.name, "text/plain")
    names = "".join(f"  {number}: {_quoted(label)}\n" for label, number in numbers.items())
    told = f"train: {named.name}\nval: {named.name}\nnames:{chr(10) + names if names else ' {}' + chr(10)}"
    store.write("data.yaml", told.encode(), "application/yaml")


def _quoted(label: str) -> str:
    """A label as YAML reads it; JSON would write a letter beyond 16 bits in two halves, which YAML takes for two."""
    plain = (c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in label)
    return f'"{"".join(plain)}"'


def _middle(box: Box, item: Item) -> str:
    left, upper, width, height = shares(box, item)
    return " ".join(f"{value:.{SHARE_DIGITS}f}" for value in (left + width / 2, upper + height / 2, width, height))


LAYOUTS = {
    "coco": Layout("data/", _coco),
    "yolo": Layout("images/", _yolo),
    "fiftyone": Layout("data/", _fiftyone),
}
