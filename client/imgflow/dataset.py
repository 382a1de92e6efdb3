"""Pictures of a run by their number, as loaders of training data ask for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from imgflow import pictures
from imgflow.session import Session
from imgflow_steps.store.threads import crew

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL.Image import Image

    from imgflow_workflows.settings import Resolved

T_co = TypeVar("T_co", covariant=True)
Columns = dict[str, Any]
Transform = Callable[["Image", Columns], T_co]


def beside(picture: Image, columns: Columns) -> tuple[Image, Columns]:
    """Both as they are."""
    return picture, columns


class Dataset(Sequence[T_co], Generic[T_co]):
    """A sequence of a run's pictures, each with its columns, or of what ``transform`` makes of the two.

    ``torch.utils.data.DataLoader`` takes it as it is, with any number of workers: a process that it is copied to opens
    the store anew, and a copy holds no credentials. Rows are in memory; a picture is fetched and decoded when it is
    asked for. Asking raises ImgflowError where it is gone or damaged, and IndexError beyond the end.
    """

    def __init__(
        self, session: Session, rows: pa.Table, transform: Transform[T_co], places: range | None = None
    ) -> None:
        """``rows`` hold the key of a picture in their first column, and what ``transform`` is given in the others.

        ``places`` are those of the rows that count, all unless some are said.
        """
        self._asked: Resolved = session.asked
        self._sessions = {os.getpid(): session}  # one that another process has opened is kept, since it ends with it
        self._rows, self._transform = rows, transform
        self._places = range(rows.num_rows) if places is None else places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[T_co]:
        """All of them. That of ``Sequence`` takes an IndexError of ``transform`` for the end."""
        return (self[number] for number in range(len(self)))

    @overload
    def __getitem__(self, number: int) -> T_co: ...
    @overload
    def __getitem__(self, number: slice) -> Dataset[T_co]: ...
    def __getitem__(self, number: int | slice) -> T_co | Dataset[T_co]:
        """One of them, or a part as a dataset of its own, of which nothing is fetched."""
        if isinstance(number, slice):
            return Dataset(self._session(), self._rows, self._transform, self._places[number])
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[T_co]:
        """Some of them, fetched side by side: loaders of torch ask so for a batch."""
        places = [self._places[number] for number in numbers]
        with self._session().asking(), crew(min(len(places), pictures.FETCHES) or 1, "dataset") as pool:
            found = list(pool.map(self._picture, places))
        return [self._transform(picture, self._columns(place)) for picture, place in zip(found, places, strict=True)]

    def __getstate__(self) -> dict[str, Any]:
        """Without what is open, which belongs to this process."""
        return {**self.__dict__, "_sessions": {}}

    def _session(self) -> Session:
        if os.getpid() not in self._sessions:
            self._sessions[os.getpid()] = Session(self._asked, show=False)
        return self._sessions[os.getpid()]

    def _picture(self, place: int) -> Image:
        key = self._rows.column(0)[place].as_py()
        return pictures.open_picture(self._session().store, key, pictures.ANY)

    def _columns(self, place: int) -> Columns:
        names, values = self._rows.column_names[1:], self._rows.columns[1:]
        return {name: column[place].as_py() for name, column in zip(names, values, strict=True)}
