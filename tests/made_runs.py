"""Runs as they lie in a store before collect: run.json, a listing, and rows; no picture is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgflow_steps.records import keys, rows
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.row import Entry, Published, Row, Status
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

PIPELINE = {"steps": [{"scale": {"width": 512}}, "grayscale", "infer"]}


@dataclass(frozen=True)
class MadeRun:
    """A run and the store it lies in."""

    store: Store
    run: Run

    def list(self, images: Iterable[str], *, counted: int | None = None, other: int = 0) -> None:
        """Write the listing: every image at version v1, with 1,000 bytes."""
        names = sorted(images, key=str.encode)
        lines = [Entry(image=name, version="v1", bytes=1000).model_dump_json().encode() + b"\n" for name in names]
        self.store.write(keys.listing(self.run.id), b"".join(lines))
        listing = Listing(listed=len(names) if counted is None else counted, other=other)
        listing.unlisted = {".txt": other} if other else {}
        self.store.write(keys.listing_json(self.run.id), listing.model_dump_json().encode())

    def add(self, *more: Row) -> None:
        """Add one row file."""
        rows.write_part(self.store, self.run.rows, more)

    def row(self, image: str, status: Status = Status.PROCESSED, **changes: object) -> Row:
        """A row of this run, as a worker would write it."""
        row = Row(
            image=image, version="v1", bytes=1000, status=status, run=self.run.id, ended=1.7e9, ms={"decode": 12.5}
        )
        if status is Status.PROCESSED:
            output = Published(key=f"out/{image}", sha256="0" * 64, width=512, height=384, found={"sharpness": 0.5})
            row.width, row.height, row.format, row.outputs = 4000, 3000, "jpeg", [output]
        else:
            row.code, row.message = f"some-{status.value}", "as the message says"
        return row.model_copy(update=changes)

    def read(self, key: str) -> str:
        """A text from the store."""
        return self.store.read(key).decode()


def make_run(folder: Path, *, municipality: str = "Utrecht", **collect: object) -> MadeRun:
    """A run in an empty directory store."""
    run = Run.model_validate(
        {
            "id": "utrecht-1",
            "municipality": municipality,
            "pipeline": PIPELINE,
            "collect": collect,
            "created": 1.7e9 - 60,
        }
    )
    store = open_store(str(folder))
    save(store, run)
    return MadeRun(store, run)


class Meddled:
    """A real store in which something else happens right before the first call of a method."""

    def __init__(self, store: Store, **before: Callable[[], object]) -> None:
        self._store, self._before = store, before

    def __getattr__(self, name: str) -> object:
        if meddle := self._before.pop(name, None):
            meddle()
        return getattr(self._store, name)
