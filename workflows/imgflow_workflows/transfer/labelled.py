"""Pictures with what models found in them, in the layouts that training and labelling programs read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import findings, keys, merge, selection
from imgflow_steps.records.findings import Box
from imgflow_steps.records.rows import merged
from imgflow_steps.store import NotFoundError, Store, StoredObject, UnreadableError
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.store.threads import ahead, crew
from imgflow_workflows.catalog import values
from imgflow_workflows.catalog.choice import choose
from imgflow_workflows.catalog.keep import download
from imgflow_workflows.results.skips import Refuse, SkippedFile, SkipReason
from imgflow_workflows.runs.history import newest_of
from imgflow_workflows.transfer import layouts, packs
from imgflow_workflows.transfer.copying import HarmedError, Photo
from imgflow_workflows.transfer.export import READS, Exported, fetched
from imgflow_workflows.transfer.items import Item

if TYPE_CHECKING:
    from imgflow_steps.records.row import Row
    from imgflow_workflows.runs.history import Record

Form = Literal["coco", "yolo", "fiftyone", "webdataset", "parquet"]
HELD = 64 << 20  # bytes of pictures that wait for their place in a pack
PackedItem = tuple[Item, StoredObject, str]  # its SHA-256 comes last, "" where none is known


@dataclass(frozen=True, slots=True)
class Labelled(Exported):
    """The chosen images that the newest run has processed, or with ``results`` what it made of them, with boxes.

    Boxes of all its models are told in pixels of the upright photograph, or of the picture that was made. An image
    without a result of that run is refused: nobody knows what is in it.
    """

    form: Form = "coco"
    _failed: set[str] = field(default_factory=set)

    @contextmanager
    def photos(self, store: Store, municipality: str, refuse: Refuse) -> Iterator[Iterator[Photo]]:
        """See ``Source``. When all are copied what is told of them is written."""
        self.check(store)
        record = newest_of(self.origin, municipality)
        if record.run.source and not self.results:
            raise BadParametersError(
                f"run {record.run.id} looked at photographs in {record.run.source}, which stay there; add --results"
            )
        with temporary() as name:
            folder = Path(name)
            chosen = folder / "selection.jsonl" if self.choice else None
            if chosen:
                choose(self.origin, municipality, self.choice, chosen)
            found = self._items(record, folder, chosen, refuse)
            if self.form in packs.PACKS:
                pack = packs.PACKS[self.form](folder, self._told_columns(folder))
                yield self._packed(found, store, pack, refuse)
                pack.check(store)
            else:
                spool = folder / "items.jsonl"
                with spool.open("w", encoding="utf-8") as lines:
                    yield self._loose(found, store, folder, lines.write)
                layouts.LAYOUTS[self.form].write(store, folder, partial(self._spooled, spool))
            self.write_tables(municipality, chosen, folder, store)

    def _items(self, record: Record, folder: Path, chosen: Path | None, refuse: Refuse) -> Iterator[PackedItem]:
        """Every picture that comes out, with what is told of it, in the order of images."""
        name = record.run.municipality
        with merged(self.origin, keys.rows(name, record.digest)) as rows:
            wanted: Iterable[Row] = merge.among(rows, lambda row: row.image, selection.read(chosen)) if chosen else rows
            known = ((row, told) for row, told in self._with_columns(name, wanted, folder) if row.outputs)
            made = self._made(record, known, refuse)
            yield from made if self.results else self._photographs(name, chosen, known, refuse)

    def _with_columns(
        self, municipality: str, rows: Iterable[Row], folder: Path
    ) -> Iterator[tuple[Row, dict[str, Any]]]:
        """Each row with what the catalog tells of its image."""
        path = folder / "told.parquet"
        try:
            download(self.origin, municipality, path)
        except NotFoundError:
            path = Path()
        told = _catalog(path) if path.name else iter(())
        for row, line in merge.joined(rows, told, lambda row: row.image, lambda line: str(line["image"]), how="left"):
            assert row is not None  # noqa: S101 - narrows the type: a left join
            yield row, {name: value for name, value in (line or {}).items() if name != "image"}

    @staticmethod
    def _told_columns(folder: Path) -> Callable[[], Any]:
        """The catalog's schema, asked for when the first picture is there and so the catalog too; None without one."""

        def schema() -> Any:
            import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

            path = folder / "told.parquet"
            return pq.read_schema(path) if path.exists() else None

        return schema

    def _made(
        self, record: Record, known: Iterator[tuple[Row, dict[str, Any]]], refuse: Refuse
    ) -> Iterator[PackedItem]:
        prefix = f"{keys.results(record.run.municipality, record.digest)}images/"
        with crew(READS, "pictures") as pool:
            made = ((row, told, out) for row, told in known for out in row.outputs if out.key)
            begun = ((*one, pool.submit(self.origin.stat, one[2].key)) for one in made)
            for row, told, out, there in ahead(begun, 2 * READS):
                name = out.key.removeprefix(prefix)
                if not (found := there.result()):
                    refuse(SkippedFile(name, SkipReason.GONE, f"nothing lies at {out.key}"))
                    continue
                seen = (b.seen(out.at, out.width, out.height) for bs in findings.boxes(out.found).values() for b in bs)
                boxes = [box for box in seen if box]
                yield Item(row.image, out.piece, name, out.width, out.height, boxes, told), found, out.sha256

    def _photographs(
        self, municipality: str, chosen: Path | None, known: Iterator[tuple[Row, dict[str, Any]]], refuse: Refuse
    ) -> Iterator[PackedItem]:
        images = ((name, found) for name, found, _ in self.images(municipality, chosen))
        for one, other in merge.joined(known, images, lambda known: known[0].image, lambda one: one[0], how="outer"):
            if one is None:
                if other:
                    refuse(SkippedFile(other[0], SkipReason.UNPROCESSED, "the newest run has no result of it"))
                continue
            row, told = one
            if other is None:
                refuse(SkippedFile(row.image, SkipReason.MISSING, "it is no longer in the dataset"))
                continue
            if other[1].version != row.version and other[1].bytes != row.bytes:
                refuse(SkippedFile(row.image, SkipReason.CHANGED_SINCE, "submit again, then export again"))
                continue
            boxes = [
                box
                for _, name, value in findings.once(row.outputs)
                for box in findings.boxes({name: value}).get(name, ())
            ]
            name = row.image
            if self.form not in {"coco", "parquet"}:  # the others know a picture by its name without suffix
                name = f"{row.image}.{SUFFIXES.get(row.format, row.format or 'jpg')}"
            yield Item(row.image, "", name, row.width, row.height, boxes, told), other[1], ""

    def _loose(
        self, found: Iterator[PackedItem], store: Store, folder: Path, note: Callable[[str], object]
    ) -> Iterator[Photo]:
        """Each picture as a file of its own; what is told of it is noted."""
        for number, (item, there, sha256) in enumerate(found):
            note(json.dumps({**asdict(item), "columns": item.plain}) + "\n")
            key = layouts.LAYOUTS[self.form].folder + item.name
            photo = self.photo(number, key, there, sha256, store, folder)
            yield Photo(
                photo.key,
                photo.path,
                photo.bytes,
                photo.version,
                partial(self._present, photo, item.name),
                partial(self._file, photo, item.name),
            )

    def _present(self, photo: Photo, name: str) -> StoredObject | None:
        try:
            return photo.present()
        except BaseException:
            self._failed.add(name)
            raise

    @contextmanager
    def _file(self, photo: Photo, name: str) -> Iterator[Path]:
        """Its file; a picture that does not arrive is told of nowhere."""
        try:
            with photo.file() as path:
                yield path
        except BaseException:
            self._failed.add(name)
            raise

    def _spooled(self, path: Path) -> Iterator[Item]:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                item = Item(**json.loads(line))
                if item.name not in self._failed:
                    yield Item(**{**asdict(item), "boxes": [Box(*box) for box in item.boxes]})

    def _packed(self, found: Iterator[PackedItem], store: Store, pack: packs.Pack, refuse: Refuse) -> Iterator[Photo]:
        """Packs of pictures, in order, each as large as it may be."""

        def begin() -> Iterator[tuple[PackedItem, Future[bytes]]]:
            for number, one in enumerate(found):
                yield one, pool.submit(self._read, one, pack.folder / str(number))

        with crew(READS, "pictures") as pool:
            for one, data in ahead(begin(), 2 * READS, weight=lambda waiting: waiting[0][1].bytes, heaviest=HELD):
                try:
                    whole = pack.add(one[0], data.result())
                except HarmedError as error:
                    refuse(SkippedFile(one[0].name, SkipReason.DAMAGED, str(error)))
                except UnreadableError as error:
                    refuse(SkippedFile(one[0].name, SkipReason.UNREADABLE, str(error)))
                else:
                    yield from (packs.photo(path, store) for path in whole)
        yield from (packs.photo(path, store) for path in pack.close())

    def _read(self, one: PackedItem, path: Path) -> bytes:
        _, found, sha256 = one
        with fetched(self.origin, found, sha256, path, None) as file:
            return file.read_bytes()


SUFFIXES = {"jpeg": "jpg", "tiff": "tif", "mpo": "jpg"}  # of formats, where these are called otherwise


def _catalog(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a catalog, sorted by image, streaming."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    for batch in pq.ParquetFile(path).iter_batches(1000):
        yield from (dict(zip(batch.schema.names, row, strict=True)) for row in values.rows(batch))
