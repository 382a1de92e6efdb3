"""Which images of a municipality are meant: by what its catalog tells of them, or a sample that a seed draws."""

from __future__ import annotations

import hashlib
import heapq
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.contract.metadata import FIELDS
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys, merge, selection
from imgflow_workflows.catalog import exif
from imgflow_workflows.catalog.ask import select
from imgflow_workflows.catalog.database import quoted
from imgflow_workflows.errors import ImgflowError

if TYPE_CHECKING:
    from imgflow_steps.store import Store


@dataclass(frozen=True, slots=True)
class Choice:
    """A condition in SQL over a catalog's columns, a number of images, or both; neither means all images."""

    where: str = ""
    sample: int = 0
    seed: int = 0

    def __bool__(self) -> bool:
        """Whether anything is chosen."""
        return bool(self.where or self.sample)


ALL = Choice()


def choose(store: Store, municipality: str, choice: Choice, path: Path) -> int:
    """Write the chosen images to ``path`` as ``selection.write`` does; how many they are.

    The same seed draws the same images of the same ones. Raises BadParametersError where the condition cannot be
    answered or there is no catalog, and ImgflowError where nothing fits.
    """
    count = selection.write(
        path, _fitting(store, municipality, choice) if choice.where else _drawn(store, municipality, choice)
    )
    if not count:
        unread = "; what files tell is known after a run has read them" if exif.named(choice.where) else ""
        raise ImgflowError(
            f"no image of {municipality} fits: {choice.where}{unread}", _look(store, municipality, choice)
        )
    return count


def _look(store: Store, municipality: str, choice: Choice) -> str:
    """How to see the values of the columns that a condition is about."""
    if not choice.where:
        return ""
    with select(store, f"SELECT * FROM {_table(choice)} WHERE (\n{choice.where}\n)", municipality) as answer:
        known = answer.schema.names
    names = [name for name in known if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", choice.where, re.IGNORECASE)]
    columns = ", ".join(name if re.fullmatch(r"\w+", name) else quoted(name) for name in names)
    whose = municipality.replace("'", "''")
    sql = f"SELECT DISTINCT {columns} FROM {_table(choice)} WHERE municipality = '{whose}' ORDER BY ALL"
    asked = shlex.quote(sql) if re.search(r'["$`\\!]', sql) else f'"{sql}"'  # single quotes inside stay readable so
    return f"`imgflow query {asked}` shows which values there are" if names else ""


def _table(choice: Choice) -> str:
    return "photographs" if exif.named(choice.where) else "catalog"


def _fitting(store: Store, municipality: str, choice: Choice) -> Iterator[str]:
    table = _table(choice)
    if table == "catalog" and store.stat(keys.catalog(municipality)) is None:
        raise BadParametersError(
            f"{municipality} has no catalog that --where could ask; `imgflow ingest` of a table makes one, and what "
            f"files tell themselves ({', '.join(FIELDS)}) is known after a run"
        )
    sql = f"SELECT image FROM {table} WHERE (\n{choice.where}\n)"
    if choice.sample:
        sql += f" ORDER BY md5('{choice.seed}:' || image), image LIMIT {choice.sample}"
    with select(store, f"SELECT image FROM ({sql}) ORDER BY image", municipality) as answer:
        for batch in answer:
            yield from batch.column("image").to_pylist()


def _drawn(store: Store, municipality: str, choice: Choice) -> Iterator[str]:
    """As with SQL, of whatever lies there: no catalog is needed."""
    prefix = keys.images(municipality)
    images = (found.key.removeprefix(prefix) for found in store.entries(prefix))
    stamped = ((_stamp(choice.seed, image), image) for image in images if keys.is_image(image))
    yield from sorted((image for _, image in heapq.nsmallest(choice.sample, stamped)), key=merge.order)


def _stamp(seed: int, image: str) -> str:
    return hashlib.md5(b"%d:%s" % (seed, merge.order(image)), usedforsecurity=False).hexdigest()
