"""What a computing process does with one slice after the other."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests import photographs

from imgflow_steps import keys
from imgflow_steps.contract import Entry, Status
from imgflow_steps.pipeline import parse
from imgflow_steps.run import Run
from imgflow_steps.slices import Slice
from imgflow_steps.store import Store, StoreError
from imgflow_steps.work import process

RUN = Run(id="demo", municipality="Demo", pipeline=parse({"steps": ["grayscale"]}))


def sliced(store: Store, folder: Path, count: int) -> Slice:
    """Photographs of which the report shows every one."""
    prefix = keys.images(RUN.municipality)
    for i in range(count):
        store.write(f"{prefix}{i}.jpg", photographs.jpeg(i))
    found = enumerate(store.entries(prefix))
    items = tuple(
        (number, Entry(image=one.key.removeprefix(prefix), version=one.version, bytes=one.bytes, sampled=True))
        for number, one in found
    )
    return Slice(RUN, store.url, 0, 1, 1, items, input=None, output=None, journal=folder / "journal")


def test_what_the_store_refused_one_slice_is_not_held_against_the_next(directory_store: Store, tmp_path: Path) -> None:
    piece = sliced(directory_store, tmp_path, 3)
    in_the_way = keys.results(RUN.municipality, RUN.digest) + "thumbs"
    directory_store.write(in_the_way, b"a file where the folder of small pictures would be")
    with pytest.raises(StoreError, match="thumbs"):
        process(piece)

    directory_store.delete([in_the_way])

    assert [row.status for row in process(piece)] == [Status.PROCESSED] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="has no file at hand that a disk would not give back")
def test_a_photograph_that_the_disk_does_not_give_back_costs_itself_alone(
    directory_store: Store, tmp_path: Path
) -> None:
    piece = sliced(directory_store, tmp_path, 2)
    damaged = Path(directory_store.url, keys.images(RUN.municipality), "damaged.jpg")
    damaged.symlink_to("/proc/self/mem")  # whose first byte is an input/output error

    rows = process(replace(piece, items=(*piece.items, (2, Entry(image=damaged.name, version="")))))

    assert [(row.status, row.code) for row in rows[:2]] == [(Status.PROCESSED, "")] * 2
    assert (rows[2].status, rows[2].code) == (Status.FAILED, "unreadable")
    assert "Input/output error" in rows[2].message
