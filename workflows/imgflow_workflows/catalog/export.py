"""Images, or the pictures that came of them, into a folder or bucket, and what is told of them beside them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from imgflow_steps import keys, selection
from imgflow_steps.contract import BadParametersError
from imgflow_steps.rows import merged
from imgflow_steps.store import Found, Store, inside
from imgflow_steps.store.versions import ETAG
from imgflow_workflows.catalog.ask import asked, newest
from imgflow_workflows.catalog.choice import Choice, choose
from imgflow_workflows.ingest.copying import Photo, Refuse

if TYPE_CHECKING:
    from imgflow_steps.contract import Row

READS = 16  # pictures looked up at the same time
AHEAD = 500  # rows whose pictures are looked up together
OURS = ("", "datasets", "results", "runs", "costs", "models", "scratch")  # where nothing is exported to


@dataclass(frozen=True, slots=True)
class Exported:
    """The chosen images of a municipality, each at its own name, and their rows of the catalog as ``catalog.parquet``.

    With ``results`` the pictures that the newest run's pipeline made of them, and also ``results.parquet``.
    """

    origin: Store
    choice: Choice
    results: bool = False

    @contextmanager
    def photos(self, store: Store, municipality: str, refuse: Refuse) -> Iterator[Iterator[Photo]]:  # noqa: ARG002 - nothing is refused
        """See ``Source``. When all are copied the tables are written."""
        below = inside(store, self.origin)
        if below is not None and below.split("/")[0] in OURS:
            raise BadParametersError(f"{store.url} is part of the store itself; export to another folder or prefix")
        with TemporaryDirectory(prefix="imgflow-export-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            chosen = folder / "selection.jsonl" if self.choice else None
            if chosen:
                choose(self.origin, municipality, self.choice, chosen)
            found = self._pictures(municipality, chosen) if self.results else self._images(municipality, chosen)
            yield (self._photo(number, key, one, store, folder) for number, (key, one) in enumerate(found))
            self._write_tables(municipality, chosen, folder, store)

    def _images(self, municipality: str, chosen: Path | None) -> Iterator[tuple[str, Found]]:
        prefix = keys.images(municipality)
        named = ((found.key.removeprefix(prefix), found) for found in self.origin.entries(prefix))
        images = ((name, found) for name, found in named if keys.is_image(name))
        return selection.among(images, lambda one: one[0], selection.read(chosen)) if chosen else images

    def _pictures(self, municipality: str, chosen: Path | None) -> Iterator[tuple[str, Found]]:
        record = newest(self.origin, municipality).get(municipality)
        if not record:
            raise BadParametersError(f"{municipality} has no results yet; `imgflow submit` makes some")
        prefix = f"{keys.results(municipality, record.digest)}images/"
        with merged(self.origin, keys.rows(municipality, record.digest)) as rows, ThreadPoolExecutor(READS) as pool:
            wanted: Iterable[Row] = (
                selection.among(rows, lambda row: row.image, selection.read(chosen)) if chosen else rows
            )
            made = (output.key for row in wanted for output in row.outputs if output.key)
            while batch := list(islice(made, AHEAD)):
                for found in filter(None, pool.map(self.origin.stat, batch)):
                    yield found.key.removeprefix(prefix), found

    def _photo(self, number: int, key: str, found: Found, store: Store, folder: Path) -> Photo:
        away = ETAG.fullmatch(found.version) and not store.url.startswith("s3://")
        stamp = int(found.placed) * 10**9 if away else None
        return Photo(
            key=key,
            path=found.key,
            bytes=found.bytes,
            version=f"{found.bytes}-{stamp}" if away else found.version,
            known=partial(store.stat, key),
            file=partial(_fetched, self.origin, found, folder / str(number), stamp),
        )

    def _write_tables(self, municipality: str, chosen: Path | None, folder: Path, store: Store) -> None:
        fitting = " SEMI JOIN chosen USING (image)" if chosen else ""
        tables = {}
        if self.origin.stat(keys.catalog(municipality)):
            tables["catalog"] = f"SELECT * EXCLUDE (municipality) FROM catalog{fitting} ORDER BY image"
        if self.results:
            inside_folder = "regexp_replace(output_key, '^results/[^/]+/[^/]+/images/', '') AS output_key"
            tables["results"] = (
                f"SELECT * EXCLUDE (municipality) REPLACE ({inside_folder}) FROM results{fitting} ORDER BY image, piece"
            )
        for name, sql in tables.items():
            path = folder / f"{name}.parquet"
            _write(self.origin, sql, municipality, chosen, path)
            store.upload(path, path.name, "application/vnd.apache.parquet")


def _write(origin: Store, sql: str, municipality: str, chosen: Path | None, path: Path) -> None:
    with asked(origin, sql, municipality, chosen) as answer:
        from pyarrow.parquet import ParquetWriter  # noqa: PLC0415 - an extra

        with ParquetWriter(path, answer.schema) as writer:
            for batch in answer:
                writer.write_batch(batch)


@contextmanager
def _fetched(origin: Store, found: Found, path: Path, stamp: int | None) -> Iterator[Path]:
    """A copy of an object with the time (ns) by which it is known again in a directory."""
    try:
        origin.download(found.key, path)
        if stamp is None and not ETAG.fullmatch(found.version):
            stamp = int(found.version.rpartition("-")[2])
        if stamp is not None:
            os.utime(path, ns=(stamp, stamp))
        yield path
    finally:
        path.unlink(missing_ok=True)
