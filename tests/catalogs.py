"""Data in the shape of the fashion data set: styles.csv, and images/<id>.jpg beside it."""

from __future__ import annotations

import csv
import random
from pathlib import Path

from tests import photographs

COLUMNS = ("id", "gender", "masterCategory", "season", "year", "productDisplayName")
FIRST = 1163


def fashion(folder: Path, count: int, *, seed: int = 0) -> Path:
    """The path of a styles.csv with so many rows, each with its picture."""
    chance = random.Random(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with (folder / "styles.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(FIRST, FIRST + count):
            gender, season = chance.choice(["Men", "Women"]), chance.choice(["Summer", "Fall", "Winter"])
            writer.writerow(
                [number, gender, "Apparel", season, chance.randint(2010, 2018), f'{gender}, "blue" {number}']
            )
            (folder / f"images/{number}.jpg").write_bytes(photographs.jpeg(number, 48, 32))
    return folder / "styles.csv"
