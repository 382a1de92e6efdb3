"""What a computing process does with one slice after the other."""

from __future__ import annotations

import socket
import sys
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests import photographs

from imgflow_steps import codec
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.row import Entry, Status
from imgflow_steps.records.run import Run
from imgflow_steps.store import DeniedError, KeyRefusedError, Store, StoreError, UnreadableError
from imgflow_steps.store.directory import Directory
from imgflow_steps.worker import loop
from imgflow_steps.worker.batch import Batch
from imgflow_steps.worker.loop import process

RUN = Run(id="demo", municipality="Demo", pipeline=parse({"steps": ["grayscale"]}))


def sliced(store: Store, folder: Path, count: int) -> Batch:
    """Photographs of which the report shows every one."""
    prefix = keys.images(RUN.municipality)
    for i in range(count):
        store.write(f"{prefix}{i}.jpg", photographs.jpeg(i))
    found = enumerate(store.entries(prefix))
    items = tuple(
        (number, Entry(image=one.key.removeprefix(prefix), version=one.version, bytes=one.bytes, sampled=True))
        for number, one in found
    )
    return Batch(RUN, store.url, 0, 1, 1, items, input=None, output=None, journal=folder / "journal")


def test_small_pictures_that_the_store_does_not_take_are_missing_and_cost_nothing(
    directory_store: Store, tmp_path: Path
) -> None:
    piece = sliced(directory_store, tmp_path, 3)
    in_the_way = keys.results(RUN.municipality, RUN.digest) + "thumbs"
    directory_store.write(in_the_way, b"a file where the folder of small pictures would be")
    assert [(row.status, row.thumbs) for row in process(piece)] == [(Status.PROCESSED, [])] * 3

    directory_store.delete([in_the_way])

    assert [(row.status, len(row.thumbs)) for row in process(piece)] == [(Status.PROCESSED, 2)] * 3


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (UnreadableError("came back another"), Status.FAILED, "unreadable"),
        (DeniedError("no right to that"), Status.FAILED, "denied"),
        (KeyRefusedError("no such name"), Status.REJECTED, "unsupported-key"),
    ],
)
def test_a_picture_that_the_store_does_not_take_costs_its_image_alone(
    directory_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: StoreError,
    status: Status,
    code: str,
) -> None:
    piece = sliced(directory_store, tmp_path, 3)
    real = Directory.write

    def write(self: Directory, key: str, data: bytes, content_type: str = "") -> None:
        if "/images/1.jpg" in key:
            raise fault
        real(self, key, data, content_type)

    monkeypatch.setattr(Directory, "write", write)
    rows = process(piece)

    assert [row.status for row in rows] == [Status.PROCESSED, status, Status.PROCESSED]
    assert (rows[1].code, rows[1].message, rows[1].outputs) == (code, str(fault), [])


@pytest.mark.skipif(sys.platform != "linux", reason="has no file at hand that a disk would not give back")
@pytest.mark.parametrize(
    ("leads_to", "says"),
    [
        ("/proc/self/mem", "Input/output error"),
        ("damaged.jpg", "symbolic links"),
        ("socket", "No such device or address"),
    ],
)
def test_a_photograph_that_the_disk_does_not_give_back_costs_itself_alone(
    directory_store: Store, tmp_path: Path, leads_to: str, says: str
) -> None:
    piece = sliced(directory_store, tmp_path, 2)
    damaged = Path(directory_store.url, keys.images(RUN.municipality), "damaged.jpg")
    damaged.symlink_to(leads_to)
    with socket.socket(socket.AF_UNIX) as one, chdir(damaged.parent):
        one.bind("socket")

    rows = process(replace(piece, items=(*piece.items, (2, Entry(image=damaged.name, version="")))))

    assert [(row.status, row.code) for row in rows[:2]] == [(Status.PROCESSED, "")] * 2
    assert (rows[2].status, rows[2].code) == (Status.FAILED, "unreadable")
    assert says in rows[2].message


class PanicException(BaseException):
    """No Exception, as pyo3 makes it."""


@pytest.mark.parametrize("fault", [RuntimeError, PanicException, SystemExit])
@pytest.mark.parametrize(
    ("place", "name", "says"),
    [
        (loop, "dhash", "decode: "),
        (codec, "decode", "decode: "),
        (codec.Decoded, "sample", ""),
        (codec, "encode", "encode: "),
        (keys, "published", ""),
    ],
)
def test_whatever_is_raised_over_one_image_costs_that_image_alone(
    directory_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    name: str,
    says: str,
    fault: type[BaseException],
) -> None:
    piece = sliced(directory_store, tmp_path, 3)
    real, calls = getattr(place, name), iter(range(9))

    def second_time(*args: object, **options: object) -> object:
        if next(calls) == 1:
            raise fault("the crop box is out of the image")
        return real(*args, **options)

    monkeypatch.setattr(place, name, second_time)
    rows = process(piece)

    assert [row.status for row in rows] == [Status.PROCESSED, Status.FAILED, Status.PROCESSED]
    assert rows[1].code == "step-error"
    assert rows[1].message.startswith(f"{says}{fault.__name__}: the crop box is out of the image")


@pytest.mark.parametrize(
    "fault", [RuntimeError, MemoryError, PanicException, Rejected("undecodable", "not twice")], ids=repr
)
@pytest.mark.parametrize(("name", "left"), [("thumbnail", []), ("thumbnail_of_all", ["before"])])
def test_a_small_picture_for_the_report_can_only_be_missing(
    directory_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: BaseException,
    name: str,
    left: list[str],
) -> None:
    def fail(*_: object) -> bytes:
        raise fault

    monkeypatch.setattr(codec, name, fail)
    [row] = process(sliced(directory_store, tmp_path, 1))

    assert (row.status, row.code, len(row.outputs)) == (Status.PROCESSED, "", 1)
    assert [side for side in ("before", "after") if any(side in key for key in row.thumbs)] == left


def test_the_last_try_of_an_image_is_about_the_image_alone(
    directory_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[object] = []  # each could end the process again
    monkeypatch.setattr(codec, "thumbnail", lambda *given: drawn.append(given))
    [row] = process(replace(sliced(directory_store, tmp_path, 1), thumbs=False))

    assert (row.status, row.thumbs, drawn) == (Status.PROCESSED, [], [])


def test_memory_that_runs_out_in_opencv_is_told_from_a_fault(
    directory_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(*_: object, **__: object) -> None:
        cv2.resize(np.zeros((1, 1), np.uint8), (1 << 25, 1 << 25))

    with pytest.raises(cv2.error) as known:
        starved()
    assert known.value.code == -4
    monkeypatch.setattr(codec, "encode", starved)
    with pytest.raises(MemoryError):
        process(sliced(directory_store, tmp_path, 1))
