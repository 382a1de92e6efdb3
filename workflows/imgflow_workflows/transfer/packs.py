"""Pictures and what is told of them packed together: tar files as WebDataset reads them, and Parquet.

The same pictures give the same bytes. WebDataset (github.com/webdataset/webdataset) takes files of a tar that follow
each other and have the same name up to the first dot for one sample, so dots in names are percent-encoded.
"""

from __future__ import annotations

import io
import json
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.step import BadParametersError
from imgflow_workflows.transfer.copying import Photo, passing

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_workflows.transfer.items import Item

PICTURES = 1000  # in a pack at most
BYTES = 500 << 20  # of pictures in a pack, from which on another one begins
GROUP = 50  # pictures in a row group of Parquet, which a reader has in memory


class Pack(ABC):
    """Takes pictures in order and gives the files that became full."""

    suffix = ""

    def __init__(self, folder: Path, columns: Callable[[], Any]) -> None:
        self.folder, self._columns = folder, columns
        self._number, self._pictures, self._bytes = 0, 0, 0
        self._path: Path | None = None

    def add(self, item: Item, data: bytes) -> list[Path]:
        """Put in one picture; the files that are whole by now."""
        whole = self.close() if self._pictures >= PICTURES or self._bytes >= BYTES else []
        if self._path is None:
            self._path = self.folder / self.name(self._number)
            self._number += 1
            self.open(self._path)
        self.put(item, data)
        self._pictures, self._bytes = self._pictures + 1, self._bytes + len(data)
        return whole

    def close(self) -> list[Path]:
        """End the file that is open, if there is one."""
        if self._path is None:
            return []
        self.finish()
        path, self._path, self._pictures, self._bytes = self._path, None, 0, 0
        return [path]

    def name(self, number: int) -> str:
        """What a file is called."""
        return f"pictures-{number:06d}{self.suffix}"

    def check(self, store: Store) -> None:
        """Raise BadParametersError where files of an earlier, larger export lie beside these."""
        if store.stat(self.name(self._number)):
            raise BadParametersError(
                f"{store.url} has {self.name(self._number)} of an earlier export, which does not belong to this one; "
                "delete it and those that follow, or export to another folder"
            )

    @abstractmethod
    def open(self, path: Path) -> None:
        """Begin a file."""

    @abstractmethod
    def put(self, item: Item, data: bytes) -> None:
        """Write one picture."""

    @abstractmethod
    def finish(self) -> None:
        """End the file."""


class Tar(Pack):
    """``key.jpg`` and ``key.json`` of each picture."""

    suffix = ".tar"

    def open(self, path: Path) -> None:
        """See ``Pack``."""
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by ``finish``

    def put(self, item: Item, data: bytes) -> None:
        """See ``Pack``."""
        told: dict[str, Any] = {"image": item.image, "piece": item.piece, "width": item.width, "height": item.height}
        told["boxes"] = [box._asdict() for box in item.boxes]
        if item.columns:
            told["catalog"] = item.plain
        suffix = item.name[len(item.stem) + 1 :].lower() or "bin"
        self._file(f"{key(item)}.{suffix}", data)
        self._file(f"{key(item)}.json", json.dumps(told, allow_nan=False).encode())

    def _file(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))

    def finish(self) -> None:
        """See ``Pack``."""
        self._tar.close()


def key(item: Item) -> str:
    """What a sample of WebDataset is called: the picture's name without suffix, and without another dot."""
    folder, slash, name = item.stem.rpartition("/")
    return folder + slash + name.replace("%", "%25").replace(".", "%2E")


class Table(Pack):
    """A row per picture: its bytes and name as ``picture``, boxes, and the catalog's columns."""

    suffix = ".parquet"

    def open(self, path: Path) -> None:
        """See ``Pack``."""
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

        numbers = [(name, pa.float64()) for name in ("score", "x", "y", "w", "h")]
        own = pa.schema(
            [
                ("image", pa.string()),
                ("piece", pa.string()),
                ("picture", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
                ("width", pa.int64()),
                ("height", pa.int64()),
                ("boxes", pa.list_(pa.struct([("label", pa.string()), *numbers]))),
            ]
        )
        columns = self._columns() or pa.schema([])
        told = [one for one in columns if one.name != "image"]
        self._names = {one.name: f"catalog_{one.name}" if one.name in own.names else one.name for one in told}
        schema = pa.schema([*own, *(one.with_name(self._names[one.name]) for one in told)])
        self._schema, self._rows = schema, list[dict[str, Any]]()
        self._writer = pq.ParquetWriter(path, schema)

    def put(self, item: Item, data: bytes) -> None:
        """See ``Pack``."""
        self._rows.append(
            {
                "image": item.image,
                "piece": item.piece,
                "picture": {"bytes": data, "path": item.name},
                "width": item.width,
                "height": item.height,
                "boxes": [box._asdict() for box in item.boxes],
                **{self._names[name]: value for name, value in item.columns.items()},
            }
        )
        if len(self._rows) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an extra

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def finish(self) -> None:
        """See ``Pack``."""
        self._flush()
        self._writer.close()


PACKS: dict[str, type[Pack]] = {"webdataset": Tar, "parquet": Table}


def photo(path: Path, store: Store) -> Photo:
    """A file that is whole, as something to be copied; it is there already only where its content is the same."""
    known = partial(store.stat, path.name)
    return Photo(path.name, path.name, bytes=-1, version="-", present=known, file=partial(passing, path))
