"""Photographs as places on a map: one GeoJSON file (RFC 7946), as QGIS, ogr2ogr and web maps read it."""

from __future__ import annotations

import json
import math
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgflow_steps.records import merge
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.store.names import unstorable
from imgflow_workflows.catalog import values
from imgflow_workflows.catalog.ask import select
from imgflow_workflows.catalog.choice import Choice, choose
from imgflow_workflows.transfer.export import Exported
from imgflow_workflows.transfer.items import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from imgflow_steps.store import Store

FILE = "photographs.geojson"
MEDIA = "application/geo+json"
PLACE = ("longitude", "latitude", "altitude")  # columns, in any case, as SQL takes them
CATALOG_COLUMNS = "SELECT * EXCLUDE (municipality, exif) FROM photographs"
RESULTS = "SELECT * EXCLUDE (municipality, thumb_before, thumb_after) FROM judged AS results"


def write(origin: Store, municipality: str, choice: Choice, target: Store, *, results: bool) -> tuple[int, int]:
    """Write a feature per chosen image to ``photographs.geojson`` in ``target``; how many, and how many have a place.

    Properties are the columns of the catalog and what the file tells; with ``results`` also those of the newest run's
    verdict, a feature per picture; a column of the catalog that is called like one of these is ``catalog_…`` then. An
    image without a position is a feature without a geometry; one that neither a
    catalog nor a run knows has its name alone.
    """
    exported = Exported(origin, choice)
    exported.check(target)
    with temporary() as name:
        folder = Path(name)
        chosen = folder / "selection.jsonl" if choice else None
        if chosen:
            choose(origin, municipality, choice, chosen)
        number = placed = 0
        with (folder / FILE).open("w", encoding="utf-8") as file:
            file.write('{"type": "FeatureCollection", "features": [')
            images = (name for name, _, _ in exported.images(municipality, chosen) if not unstorable(name))
            for row in _with_unknown(images, _rows(origin, municipality, chosen, results=results)):
                feature = _feature(row)
                file.write(("," if number else "") + "\n" + json.dumps(feature, ensure_ascii=False, allow_nan=False))
                number, placed = number + 1, placed + bool(feature["geometry"])
            file.write("\n]}\n")
        target.upload(folder / FILE, FILE, MEDIA)
    return number, placed


def _with_unknown(images: Iterable[str], rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All rows, and one with nothing but its name for each image that has none; both sorted by image."""
    grouped = ((image, list(group)) for image, group in groupby(rows, itemgetter("image")))
    for image, group in merge.joined(images, grouped, str, itemgetter(0), how="outer"):
        yield from group[1] if group else [{"image": image}]


def _rows(origin: Store, municipality: str, chosen: Path | None, *, results: bool) -> Iterator[dict[str, Any]]:
    sql = f"SELECT * FROM ({CATALOG_COLUMNS}) AS told"
    if results:
        sql += f" FULL JOIN ({RESULTS}) AS made USING (image)"
    if chosen:
        sql += " SEMI JOIN chosen USING (image)"
    with select(origin, f"{sql} ORDER BY image", municipality, chosen) as answer:
        written = answer.schema.names
        names = [f"catalog_{name}" if name in written[i + 1 :] else name for i, name in enumerate(written)]
        for batch in answer:
            for row in values.rows(batch):
                yield dict(zip(names, row, strict=True))


def _feature(row: dict[str, Any]) -> dict[str, Any]:
    known = {name: plain(value) for name, value in row.items() if value is not None}
    there = {name.casefold(): _number(value) for name, value in known.items() if name.casefold() in PLACE}
    *place, height = map(there.get, PLACE)
    geometry = None
    if None not in place:
        geometry = {"type": "Point", "coordinates": place + ([height] if height is not None else [])}
    properties = {name: value for name, value in known.items() if name.casefold() not in PLACE}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
