"""A folder of photographs with tables beside them, brought into a store."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tests import photographs

from imgflow_steps.records import keys
from imgflow_steps.store import Store
from imgflow_workflows.ingest.table import Table
from imgflow_workflows.transfer.copying import ingest

JPEG = photographs.jpeg(1, 32, 24)


class Tables:
    """Photographs 007, 1 and 2 in ``images``, and tables beside that folder."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store, self.told = folder, store, list[str]()
        for name in ("007", "1", "2"):
            self.photo(f"images/{name}.jpg")

    def photo(self, path: str) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(JPEG)

    def table(self, content: bytes | str, name: str = "table.csv", **more: Any) -> Table:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return Table(path, say=self.told.append, **more)

    def parquet(self, columns: dict[str, Any]) -> Table:
        pq.write_table(pa.table(columns), self.folder / "table.parquet")
        return Table(self.folder / "table.parquet", say=self.told.append)

    def bring(self, table: Table) -> list[dict[str, Any]]:
        """The catalog's rows after the table came in."""
        ingest(table, self.store, "Demo", workers=2, tell=lambda _: None)
        self.store.download(keys.catalog("Demo"), self.folder / "catalog")
        rows: list[dict[str, Any]] = pq.read_table(self.folder / "catalog").to_pylist()
        return rows

    def read(self, columns: list[list[str]], *, delimiter: str = ",") -> list[list[Any]]:
        """What columns of these texts become, each with as many values as it has here."""
        height = max(map(len, columns))
        for number in range(height):
            self.photo(f"images/v{number}.jpg")
        file = io.StringIO()
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["id", *(f"c{number}" for number in range(len(columns)))])
        cells = [[*column, *[""] * (height - len(column))] for column in columns]
        writer.writerows(zip((f"v{number}" for number in range(height)), *cells, strict=True))
        rows = self.bring(self.table(file.getvalue()))
        return [[row[f"c{n}"] for row in rows][: len(column)] for n, column in enumerate(columns)]
