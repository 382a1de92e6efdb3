"""Near-duplicates in the table of results: named over all files of it, however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_runs import MadeRun, make_run

from imgflow_steps.records.row import Published, Status
from imgflow_workflows.catalog import parquet
from imgflow_workflows.catalog.ask import select

if TYPE_CHECKING:
    from pathlib import Path

SAME = f"{0:031x}f"


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    """Ten images of which those with an odd number look like the first odd one; a rejected one has the same hash."""
    made = make_run(tmp_path)
    made.list([f"{n}.jpg" for n in range(11)])
    output = Published(key="", sha256="", width=1, height=1)
    for n in range(10):
        made.add(made.row(f"{n}.jpg", dhash=SAME if n % 2 else f"{(2**30 - 1) << (12 * n):032x}", outputs=[output]))
    made.add(made.row("99.jpg", dhash=SAME, status=Status.REJECTED, code="truncated"))
    return made


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_an_image_is_named_that_others_look_like_in_whatever_file_they_are(
    made: MadeRun, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(parquet, "ROWS", rows)

    with select(made.store, "SELECT image, duplicate_of FROM results ORDER BY image") as answer:
        told = {row["image"]: row["duplicate_of"] for batch in answer for row in batch.to_pylist()}

    assert {image for image, first in told.items() if first == "1.jpg"} == {"3.jpg", "5.jpg", "7.jpg", "9.jpg"}
    assert [image for image, first in told.items() if first is None] == [
        *("0.jpg", "1.jpg", "2.jpg", "4.jpg", "6.jpg", "8.jpg", "99.jpg")
    ]
