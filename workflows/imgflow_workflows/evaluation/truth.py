"""What people say is in images: COCO's JSON, a folder of YOLO, or a table with a row per box. It is held in memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records.findings import Box
from imgflow_workflows.evaluation.scores import Truth

if TYPE_CHECKING:
    from imgflow_steps.records.row import Row

COLUMNS = ("image", "label", "x", "y", "w", "h")
BOX = 5  # numbers of a line of YOLO at most that has a box, the last one a score
LIKE = 0.01  # by which the proportions of two sizes of a picture may differ


@dataclass(frozen=True, slots=True)
class Labelled:
    """An image as somebody labelled it: boxes in pixels of a picture of this size, 0 where they did not say.

    ``relative`` boxes are shares of the picture's sides.
    """

    boxes: list[Truth] = field(default_factory=list)
    width: int = 0
    height: int = 0
    relative: bool = False

    def seen(self, row: Row) -> list[Truth]:
        """The same in pixels of the upright photograph of a row.

        Raises BadParametersError where the size that was labelled has other proportions.
        """
        width, height = (1, 1) if self.relative else (self.width or row.width, self.height or row.height)
        across, down = row.width / width, row.height / height
        if not self.relative and abs(across / down - 1) > LIKE:
            raise BadParametersError(
                f"{row.image} is {row.width} x {row.height} upright, and was labelled as {width} x {height}; "
                "was it labelled without its EXIF orientation?"
            )
        return [
            Truth(
                one.box._replace(x=one.box.x * across, y=one.box.y * down, w=one.box.w * across, h=one.box.h * down),
                one.crowd,
            )
            for one in self.boxes
        ]


def read(path: Path) -> dict[str, Labelled]:
    """What is there, by the name that an image has in the truth. Raises BadParametersError where it cannot be read."""
    found = _read(path)
    for name, one in found.items():
        for box in (truth.box for truth in one.boxes):
            if not all(map(isfinite, box[2:])) or box.w < 0 or box.h < 0:
                raise BadParametersError(
                    f"{path}: {name} has a box at {box.x:g}, {box.y:g} of {box.w:g} x {box.h:g}, which is not a box; "
                    "correct it"
                )
    return found


def _read(path: Path) -> dict[str, Labelled]:
    try:
        if path.is_dir():
            return _yolo(path)
        match path.suffix.lower():
            case ".json":
                return _coco(json.loads(path.read_text(encoding="utf-8-sig")))
            case ".csv":
                return _table(path, _csv(path))
            case ".parquet":
                return _table(path, _parquet(path))
    except (ValueError, KeyError, TypeError, AttributeError, OSError, yaml.YAMLError) as error:
        what = f"{error.strerror}" if isinstance(error, OSError) and error.strerror else repr(error)
        raise BadParametersError(f"{path} cannot be read as boxes of images: {what}") from error
    raise BadParametersError(
        f"{path} is neither COCO's .json, nor a folder of YOLO, nor a .csv or .parquet with {', '.join(COLUMNS)}"
    )


def _coco(document: Any) -> dict[str, Labelled]:
    names = {one["id"]: str(one["name"]) for one in document["categories"]}
    images = {
        one["id"]: (one["file_name"], Labelled([], int(one.get("width", 0)), int(one.get("height", 0))))
        for one in document["images"]
    }
    for one in document["annotations"]:
        box = Box(names[one["category_id"]], 1.0, *map(float, one["bbox"]))
        images[one["image_id"]][1].boxes.append(Truth(box, bool(one.get("iscrowd", 0))))
    return dict(images.values())


def _yolo(folder: Path) -> dict[str, Labelled]:
    """By the names of files of labels without their suffix."""
    told = next((path for path in (folder / "data.yaml", folder / "data.yml") if path.exists()), None)
    names: Any = yaml.load(told.read_bytes(), yaml.BaseLoader)["names"] if told else {}  # noqa: S506 - text alone: on is a name
    known = dict(enumerate(names)) if isinstance(names, list) else {int(key): name for key, name in names.items()}
    root = folder / "labels" if (folder / "labels").is_dir() else folder
    found = {}
    for path in sorted(root.rglob("*.txt")):
        lines = filter(str.strip, path.read_text(encoding="utf-8-sig").splitlines())
        boxes = [_yolo_box(line.split(), known) for line in lines]
        found[path.relative_to(root).with_suffix("").as_posix()] = Labelled(boxes, relative=True)
    if not found:
        raise ValueError(f"no file of labels below {root}")
    return found


def _yolo_box(words: list[str], names: Mapping[int, str]) -> Truth:
    """A line of labels; of an outline the box around it, as Ultralytics trains with it."""
    label, numbers = names.get(int(words[0]), words[0]), [float(word) for word in words[1:]]
    if len(numbers) > BOX:
        left, upper = min(numbers[::2]), min(numbers[1::2])
        return Truth(Box(label, 1.0, left, upper, max(numbers[::2]) - left, max(numbers[1::2]) - upper))
    middle_x, middle_y, width, height = numbers[:4]
    return Truth(Box(label, 1.0, middle_x - width / 2, middle_y - height / 2, width, height))


def _table(path: Path, rows: Iterable[Mapping[str, Any]]) -> dict[str, Labelled]:
    """A row per box; an image in which nothing is has one row without a label."""
    found: dict[str, Labelled] = {}
    for row in rows:
        if not row.keys() >= {"image", "label"} or (row["label"] and not row.keys() >= set(COLUMNS)):
            raise BadParametersError(
                f"{path} cannot be read as boxes of images: it has the columns {', '.join(map(str, row))}, and needs "
                f"{', '.join(COLUMNS)}"
            )
        boxes = found.setdefault(str(row["image"]), Labelled()).boxes
        if row["label"] not in {None, ""}:
            x, y, w, h = (float(row[name]) for name in COLUMNS[2:])
            boxes.append(Truth(Box(str(row["label"]), 1.0, x, y, w, h)))
    return found


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    """Rows as spreadsheets write them: perhaps not in UTF-8, perhaps with semicolons and decimal commas."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter):
        numbers = {name: (row.get(name) or "").replace(",", ".") for name in COLUMNS[2:] if name in row}
        yield row if delimiter == "," else {**row, **numbers}


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra
    except ImportError:
        raise BadParametersError("Parquet needs pyarrow; pip install 'imgflow[query]'") from None
    for batch in pq.ParquetFile(path).iter_batches(1000):
        yield from batch.to_pylist()


class Names:
    """Which image a truth speaks of: the one of this key, or of this key without suffix, whole or its last folders."""

    def __init__(self, truth: Mapping[str, Labelled]) -> None:
        self._truth, self._left = truth, set(truth)
        self._ends: dict[str, list[str]] = {}
        for name in truth:
            self._ends.setdefault(name.rsplit("/", 1)[-1], []).append(name)

    def of(self, image: str) -> Labelled | None:
        """What is told of an image."""
        stem, dot, _ = image.rpartition(".")
        for key in (image, stem if dot else image):
            name = next((one for one in self._ends.get(key.rsplit("/", 1)[-1], ()) if _fits(one, key)), None)
            if name is not None:
                self._left.discard(name)
                return self._truth[name]
        return None

    @property
    def left(self) -> list[str]:
        """Names that no image had."""
        return sorted(self._left)


def _fits(name: str, key: str) -> bool:
    """Whether a key is a name, or ends with it where folders end."""
    return key == name or key.endswith("/" + name)
