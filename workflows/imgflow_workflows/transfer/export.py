"""Images, or the pictures that came of them, into a folder or bucket, and what is told of them beside them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys, merge, selection
from imgflow_steps.records.rows import merged
from imgflow_steps.store import Store, StoredObject, UnreadableError, inside
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.store.versions import ETAG, written
from imgflow_workflows.catalog.ask import select
from imgflow_workflows.catalog.choice import Choice, choose
from imgflow_workflows.results.skips import Refuse, SkippedFile, SkipReason
from imgflow_workflows.runs.history import newest_of
from imgflow_workflows.transfer.copying import HarmedError, Photo

if TYPE_CHECKING:
    from imgflow_steps.records.row import Row

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
    def photos(self, store: Store, municipality: str, refuse: Refuse) -> Iterator[Iterator[Photo]]:
        """See ``Source``. When all are copied the tables are written."""
        self.check(store)
        with temporary() as name:
            folder = Path(name)
            chosen = folder / "selection.jsonl" if self.choice else None
            if chosen:
                choose(self.origin, municipality, self.choice, chosen)
            found = self._pictures(municipality, chosen, refuse) if self.results else self.images(municipality, chosen)
            yield (self.photo(number, *one, store, folder) for number, one in enumerate(found))
            self.write_tables(municipality, chosen, folder, store)

    def check(self, store: Store) -> None:
        """Raise BadParametersError where a destination is a part of the store that is exported."""
        below = inside(store, self.origin)
        if below is not None and below.split("/")[0] in OURS:
            raise BadParametersError(f"{store.url} is part of the store itself; export to another folder or prefix")

    def images(self, municipality: str, chosen: Path | None) -> Iterator[tuple[str, StoredObject, str]]:
        """Name and object of each chosen image of the dataset, in order; no SHA-256 is known."""
        prefix = keys.images(municipality)
        named = ((found.key.removeprefix(prefix), found, "") for found in self.origin.entries(prefix))
        images = (one for one in named if keys.is_image(one[0]))
        return merge.among(images, lambda one: one[0], selection.read(chosen)) if chosen else images

    def _pictures(
        self, municipality: str, chosen: Path | None, refuse: Refuse
    ) -> Iterator[tuple[str, StoredObject, str]]:
        """Name, object and SHA-256 of each picture that is there; one that is not is refused."""
        record = newest_of(self.origin, municipality)
        prefix = f"{keys.results(municipality, record.digest)}images/"
        with merged(self.origin, keys.rows(municipality, record.digest)) as rows, ThreadPoolExecutor(READS) as pool:
            wanted: Iterable[Row] = merge.among(rows, lambda row: row.image, selection.read(chosen)) if chosen else rows
            made = (output for row in wanted for output in row.outputs if output.key)
            while batch := list(islice(made, AHEAD)):
                for output, found in zip(batch, pool.map(self.origin.stat, [one.key for one in batch]), strict=True):
                    if found:
                        yield found.key.removeprefix(prefix), found, output.sha256
                    else:
                        refuse(
                            SkippedFile(
                                output.key.removeprefix(prefix), SkipReason.GONE, f"there is nothing at {output.key}"
                            )
                        )

    def photo(self, number: int, key: str, found: StoredObject, sha256: str, store: Store, folder: Path) -> Photo:
        """Something to be copied to ``key``, known again there by its time where that says more than its content."""
        away = ETAG.fullmatch(found.version) and not store.url.startswith("s3://")
        stamp = int(found.placed) * 10**9 if away else None
        return Photo(
            key=key,
            path=found.key,
            bytes=found.bytes,
            version=f"{found.bytes}-{stamp}" if away else found.version,
            present=partial(store.stat, key),
            file=partial(fetched, self.origin, found, sha256, folder / str(number), stamp),
        )

    def write_tables(self, municipality: str, chosen: Path | None, folder: Path, store: Store) -> None:
        """Write what is told of the chosen images, and of what was made of them, beside the pictures."""
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
    with select(origin, sql, municipality, chosen) as answer:
        from pyarrow.parquet import ParquetWriter  # noqa: PLC0415 - an extra

        with ParquetWriter(path, answer.schema) as writer:
            for batch in answer:
                writer.write_batch(batch)


@contextmanager
def fetched(origin: Store, found: StoredObject, sha256: str, path: Path, stamp: int | None) -> Iterator[Path]:
    """A copy of an object with the time (ns) by which it is known again in a directory; a result is what was made."""
    try:
        try:
            origin.download(found.key, path)
        except UnreadableError as error:
            if not sha256:
                raise
            raise HarmedError(str(error)) from error
        with path.open("rb") as file:
            if sha256 and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise HarmedError(f"{found.key} has another SHA-256 than the run wrote down")
        if stamp is None and not ETAG.fullmatch(found.version):
            stamp = written(found.version)
        if stamp is not None:
            os.utime(path, ns=(stamp, stamp))
        yield path
    finally:
        path.unlink(missing_ok=True)
