"""What somebody with photographs and a table of them does from the beginning to the end, on whatever engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
from tests.catalogs import fashion

CHOSEN = "season = 'Summer' and gender = 'Women'"
STEPS = "augment:3:7,infer"
PICTURES = 4  # of an image: itself and three variants
CONTRASTS = """
    SELECT c.year, count(*) AS n, max(r.found_contrast) AS contrast
    FROM catalog c JOIN results r USING (municipality, image) WHERE c.municipality = '{}'
    GROUP BY c.year ORDER BY c.year
"""


def of_the_fashion_data_set(told: Callable[..., Any], folder: Path, count: int) -> None:
    """Ingested, selected with SQL, augmented, inferred on, exported, ingested from there and queried again.

    ``told`` gives what ``imgflow`` with these arguments and ``-o json`` says, having ended well.
    """
    styles = fashion(folder / "shop", count)
    rows = pyarrow.csv.read_csv(styles).to_pylist()
    chosen = {f"{row['id']}.jpg": row for row in rows if row["season"] == "Summer" and row["gender"] == "Women"}
    years = {row["year"] for row in chosen.values()}

    assert told("ingest", str(styles), "-m", "Fashion")["copied"] == count
    known = told("query", "SELECT season, count(*) AS n FROM catalog WHERE municipality = 'Fashion' GROUP BY season")
    seasons = [row["season"] for row in rows]
    assert {one["season"]: one["n"] for one in known} == {season: seasons.count(season) for season in seasons}

    run = told("submit", "-m", "Fashion", "--where", CHOSEN, "--steps", STEPS, "--wait")
    assert (run["counts"]["listed"], run["counts"]["processed"]) == (len(chosen), len(chosen))
    found = told("query", CONTRASTS.format("Fashion"))
    assert {one["year"] for one in found} == years
    assert sum(one["n"] for one in found) == PICTURES * len(chosen)
    assert all(0 < one["contrast"] <= 1 for one in found)

    results, originals = folder / "results", folder / "originals"
    assert told("export", str(results), "-m", "Fashion", "--where", CHOSEN, "--results")["copied"] == PICTURES * len(
        chosen
    )
    out = pq.read_table(results / "results.parquet").to_pylist()
    for row in out:
        data = (results / row["output_key"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["output_sha256"]
    assert {row["image"] for row in out} == chosen.keys()
    told("export", str(originals), "-m", "Fashion", "--where", CHOSEN)
    for image in chosen:
        assert (originals / image).read_bytes() == (folder / "shop/images" / image).read_bytes()

    assert told("ingest", str(originals / "catalog.parquet"), "-m", "Summer")["copied"] == len(chosen)
    again = told("submit", "-m", "Summer", "--steps", STEPS, "--wait")
    assert again["counts"]["processed"] == len(chosen)
    assert told("query", CONTRASTS.format("Summer")) == found, "the same images under the same names give the same"
