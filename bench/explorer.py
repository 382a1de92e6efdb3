"""The explorer over many images: processor time until the first grid is there, and for each thing that is chosen.

Beside it stand two that one would write oneself. DuckDB reads the same row files, and is asked for a number and a page
alone. Plain Python keeps the rows as dictionaries, goes through all of them for each choice, and counts what the
explorer shows beside its grid. No picture is read: a browser asks for those that it shows, whoever makes the page.
"""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import duckdb
from bench.contenders import pipeline
from bench.folder import BOX
from bench.measure import Bench, Costs, Line, cpu, geometric_mean, interleave, line, times

from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.row import Published, Row, Status
from imgflow_steps.records.rows import write_part
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import Store, open_store
from imgflow_workflows.explorer.app import Explorer
from imgflow_workflows.explorer.choice import PER_PAGE, Choice
from imgflow_workflows.explorer.index import Index

SECTION = "The explorer, {:,} images, in processor time"
FEW, MANY = 2_000, 100_000
PART = 10_000  # rows of a file
REJECTED = 40  # one image of so many
CAMERAS = ("Canon EOS R5", "NIKON Z 6", "FUJIFILM X-T4", "iPhone 14", "Pixel 7")
COUNTED = ("status", "code", "camera", "format")  # words that are counted for each choice
BARS = 24


@dataclass(frozen=True, slots=True)
class Asked:
    """Something that is chosen: as the explorer, as SQL and as Python say it."""

    name: str
    choice: Choice
    where: str
    fits: Callable[[Mapping[str, Any]], bool]
    by: str = ""


ASKED = (
    Asked(
        "a word", Choice(values={"status": "rejected"}), "status = 'rejected'", lambda row: row["status"] == "rejected"
    ),
    Asked(
        "a bar of a histogram",
        Choice(ranges={"found_sharpness": ("200", "300")}),
        "outputs[1].found.sharpness >= 200 AND outputs[1].found.sharpness < 300",
        lambda row: 200 <= _sharpness(row) < 300,  # noqa: PLR2004 - as above
    ),
    Asked(
        "a folder",
        Choice(folder="000003"),
        "starts_with(image, '000003/')",
        lambda row: row["image"].startswith("000003/"),
    ),
    Asked(
        "a condition in SQL",
        Choice(where="width > 4500 AND camera LIKE 'N%'"),
        "width > 4500 AND exif.camera LIKE 'N%'",
        lambda row: row["width"] > 4500 and row.get("exif", {}).get("camera", "").startswith("N"),  # noqa: PLR2004 - as above
    ),
    Asked("another order", Choice(sort="found_sharpness"), "true", lambda _row: True, "outputs[1].found.sharpness"),
)


def measure(bench: Bench) -> Iterator[Line]:
    """The first grid, then each choice by itself."""
    images = FEW if bench.quick else MANY
    section = SECTION.format(images)
    root = bench.scratch / "explorer"
    shutil.rmtree(root, ignore_errors=True)
    store = open_store(str(root))
    bench.tell(f"  rows of {images:,} images")
    folder = root / fill(store, images)
    bench.tell("  the first grid")
    costs = interleave(
        {
            "imgflow": cpu(lambda: first(store)),
            "DuckDB": cpu(lambda: alone(folder)),
            "Python": cpu(lambda: page([*rows(folder)], ASKED[-1])),
        },
        bench.rounds,
    )
    yield from told(section, "first grid", costs)
    with ExitStack() as stack:
        index = Index(store)
        stack.callback(index.close)
        explorer, base, held = Explorer(index), stack.enter_context(table(folder)), [*rows(folder)]
        choices = []
        for one in ASKED:
            bench.tell(f"  {one.name}")
            choices.append(
                interleave(
                    {
                        "imgflow": cpu(lambda: explorer.overview(one.choice)),  # noqa: B023 - called at once
                        "DuckDB": cpu(lambda: select(base, one.where, one.by)),  # noqa: B023 - likewise
                        "Python": cpu(lambda: page(held, one)),  # noqa: B023 - likewise
                    },
                    bench.rounds,
                )
            )
            yield line(section, f"{one.name}: imgflow", choices[-1]["imgflow"], unit=" s")
    for other in ("Python", "DuckDB"):
        ratios = geometric_mean([times(costs, "imgflow", other) for costs in choices])
        name = (
            "plain Python / imgflow" if other == "Python" else "DuckDB alone, without what is beside the grid / imgflow"
        )
        yield line(
            section, f"something chosen, of {len(ASKED)} kinds: {name}", ratios, goal=1.0 if other == "Python" else None
        )
    slowest = [max(costs["imgflow"][turn] for costs in choices) for turn in range(bench.rounds)]
    yield line(section, "something chosen: the slowest kind", slowest, goal=1.0, at_most=True, unit=" s")


def told(section: str, name: str, costs: Costs) -> Iterator[Line]:
    """What imgflow took, and the others beside it."""
    yield line(section, f"{name}: imgflow", costs["imgflow"], unit=" s", seconds=costs)
    yield line(section, f"{name}: plain Python / imgflow", times(costs, "imgflow", "Python"))
    yield line(section, f"{name}: DuckDB alone / imgflow", times(costs, "imgflow", "DuckDB"))


def fill(store: Store, images: int) -> str:
    """A run that is listed, and rows as workers leave them; gives where these lie."""
    run = Run(id="bench", municipality="Bench", pipeline=pipeline(BOX, grey=True), created=1.0)
    save(store, run)
    store.write(keys.listing_json(run.id), Listing(listed=images, todo=images, shards=1).model_dump_json().encode())
    for first_of_part in range(0, images, PART):
        part = range(first_of_part, min(images, first_of_part + PART))
        write_part(store, run.rows, [row(run, number) for number in part])
    return run.rows


def row(run: Run, number: int) -> Row:
    """What a worker would say of a photograph: no two say the same, and some are rejected."""
    name = f"{number // 1000:06d}/photograph-{number:09d}.jpg"
    common: dict[str, Any] = {
        "image": name,
        "version": f"v{number}",
        "bytes": 2_000_000 + number * 7919 % 3_000_000,
        "run": run.id,
        "ended": 1e9 + number,
    }
    if number % REJECTED == 0:
        return Row(**common, status=Status.REJECTED, code="truncated", message="the file ends before its picture does")
    exif: dict[str, str | int | float] = {
        "taken": f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T{number % 24:02d}:00:00",
        "camera": CAMERAS[number % len(CAMERAS)],
        "latitude": 52 + number % 1000 / 1000,
        "longitude": 5 + number % 997 / 1000,
    }
    found = {"sharpness": number * 7907 % 1000 + 0.5, "exposure": number % 100 / 100, "contrast": number % 77 / 77}
    key = keys.published(run.municipality, run.digest, name, "", "jpg")
    output = Published(key=key, sha256=f"{number:064x}", width=1024, height=683, found=found)
    return Row(
        **common,
        ms={"fetch": 12.345, "decode": 23.456, "scale": 4.567, "encode": 2.34},
        width=3000 + number % 3000,
        height=2000 + number % 2000,
        format="jpeg",
        exif=exif,
        dhash=f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}",
        outputs=[output],
    )


def first(store: Store) -> None:
    """From a store to the first page, as ``imgflow view`` does it."""
    index = Index(store)
    try:
        Explorer(index).overview(Choice())
    finally:
        index.close()


def table(folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB with the rows in a table."""
    base = duckdb.connect()
    base.execute(f"CREATE TABLE images AS SELECT * FROM read_json('{folder}/*.jsonl', format = 'newline_delimited')")
    return base


def alone(folder: Path) -> None:
    """The same from row files to a page."""
    with table(folder) as base:
        select(base, "true")


def select(base: duckdb.DuckDBPyConnection, where: str, by: str = "") -> tuple[int, list[str]]:
    """How many fit, and the first of them."""
    ((total,),) = base.execute(f"SELECT count(*) FROM images WHERE {where}").fetchall()
    order = f"{by} NULLS LAST, image" if by else "image"
    shown = base.execute(f"SELECT image FROM images WHERE {where} ORDER BY {order} LIMIT {PER_PAGE}").fetchall()
    return int(total), [image for (image,) in shown]


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """All rows as dictionaries."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            yield from map(json.loads, file)


def page(held: list[dict[str, Any]], asked: Asked) -> tuple[int, list[str], str]:
    """How many fit, how words and sharpness are spread over them, and the first of them as links."""
    fitting = [one for one in held if asked.fits({"status": "processed", "width": 0, **one})]
    fitting.sort(key=lambda one: (_sharpness(one) if asked.by else 0, one["image"]))
    words = [Counter(str(one.get(name) or one.get("exif", {}).get(name, "")) for one in fitting) for name in COUNTED]
    bars = Counter(int(_sharpness(one) * BARS / 1000) for one in fitting if one.get("outputs"))
    tiles = "".join(f'<a href="image?{escape(one["image"])}">{escape(one["image"])}</a>' for one in fitting[:PER_PAGE])
    return len(fitting), [one["image"] for one in fitting[:PER_PAGE]], f"{words} {bars} {tiles}"


def _sharpness(one: Mapping[str, Any]) -> float:
    outputs = one.get("outputs")
    return float(outputs[0]["found"]["sharpness"]) if outputs else math.inf
