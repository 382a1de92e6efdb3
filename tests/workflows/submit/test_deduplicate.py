"""Which images a run is about that takes each picture once."""

from __future__ import annotations

import csv
import os
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys, results, rows, selection
from imgflow_steps.records.row import Row, Status
from imgflow_steps.records.run import Run
from imgflow_steps.store import Store, open_store
from imgflow_workflows.submit.deduplicate import LOOK, once

if TYPE_CHECKING:
    import pytest

ONE, OTHER = "0" * 32, "f" * 32
RUN = Run(id="demo", municipality="Demo", pipeline=parse({"steps": ["scale:50%"]}))


def see(store: Store, hashes: dict[str, str], pipeline: str = RUN.digest, **changes: object) -> None:
    """Rows as a run leaves them that has seen these images."""
    for image in hashes:
        if store.stat(keys.images("Demo") + image) is None:
            store.write(keys.images("Demo") + image, image.encode())
    versions = {found.key: found.version for found in store.entries(keys.images("Demo"))}
    seen = [
        Row(image=image, version=versions[keys.images("Demo") + image], dhash=dhash, ended=1.0, run="r")
        for image, dhash in hashes.items()
    ]
    rows.write_part(store, keys.rows("Demo", pipeline), [row.model_copy(update=changes) for row in seen])


def hashed(number: int) -> str:
    """Different numbers have hashes that are far apart."""
    return f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"


def taken(store: Store, folder: Path, chosen: Path | None = None) -> tuple[list[str], int, int]:
    folder.mkdir(exist_ok=True)
    selected = once(store, RUN, chosen, folder)
    return list(selection.read(selected.images)), selected.duplicates, selected.unknown


def test_the_first_by_name_stands_for_all_that_look_like_it(store: Store, tmp_path: Path) -> None:
    see(store, {"a.jpg": ONE, "b.jpg": OTHER, "c/d.jpg": ONE, "e.jpg": ""})

    assert taken(store, tmp_path / "files") == (["a.jpg", "b.jpg", "e.jpg"], 1, 0)
    with (tmp_path / "files" / "left-out.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["image", "duplicate_of"], ["c/d.jpg", "a.jpg"]]


def test_hashes_come_from_every_pipeline_and_only_for_the_very_same_bytes(
    directory_store: Store, tmp_path: Path
) -> None:
    store = directory_store
    see(store, {"a.jpg": ONE}, "0" * 16)
    see(store, {"b.jpg": ONE}, "1" * 16)
    see(store, {"c.jpg": ONE}, "1" * 16, version="of before")
    see(store, {"d.jpg": ONE}, "1" * 16, status=Status.FAILED)

    assert taken(store, tmp_path / "files") == (["a.jpg", "c.jpg", "d.jpg"], 1, 2)


def test_what_was_rejected_before_stays_in_and_is_not_looked_at(directory_store: Store, tmp_path: Path) -> None:
    see(directory_store, {"a.jpg": "", "b.jpg": ""}, LOOK.digest, status=Status.REJECTED)

    assert taken(directory_store, tmp_path / "files") == (["a.jpg", "b.jpg"], 0, 0)


def test_of_what_was_chosen_each_picture_is_taken_once(directory_store: Store, tmp_path: Path) -> None:
    see(directory_store, {"a.jpg": ONE, "b.jpg": ONE, "c.jpg": ONE, "d.jpg": OTHER})
    selection.write(tmp_path / "chosen.jsonl", ["b.jpg", "c.jpg"])

    assert taken(directory_store, tmp_path / "files", tmp_path / "chosen.jsonl") == (["b.jpg"], 1, 0)


def test_names_that_are_no_text_and_what_is_no_image_stay_as_they_are(directory_store: Store, tmp_path: Path) -> None:
    see(directory_store, {"a.jpg": ONE, "notes.txt": ""})
    folder = os.fsencode(Path(directory_store.url) / "datasets/Demo/images")
    Path(os.fsdecode(folder + b"/\xff.jpg")).write_bytes(b"a name of another time")

    images, _, unknown = taken(directory_store, tmp_path / "files")

    assert images == ["a.jpg", "notes.txt", os.fsdecode(b"\xff.jpg")]
    assert unknown == 0


def test_memory_does_not_grow_with_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FETCHES", 1)
    monkeypatch.setattr(results, "NAMES", 10)  # what is remembered is bounded, but larger than this test
    peaks = []
    for count in (500, 1500):
        store = open_store(str(tmp_path / str(count)))
        for start in range(0, count, 250):  # small files, or the buffers that they are copied with are what is measured
            see(store, {f"{n // 50:03d}/{n:05d}{'x' * 200}.jpg": hashed(n // 2) for n in range(start, start + 250)})
        (tmp_path / f"files{count}").mkdir()
        tracemalloc.start()
        selected = once(store, RUN, None, tmp_path / f"files{count}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert selected.duplicates == count // 2
    assert peaks[1] - peaks[0] < 1000 * 200
