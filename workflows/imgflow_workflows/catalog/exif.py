"""What files tell of their pictures, beside what is told of them: ``exif`` in a catalog, and its fields by themselves.

Runs read it while they decode, so it is known of images that a run has decoded, whatever pipeline that was.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.metadata import FIELDS, taken
from imgflow_steps.records import keys
from imgflow_steps.records.rows import merged
from imgflow_workflows.catalog.database import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from duckdb import DuckDBPyConnection

    from imgflow_steps.records.row import Row
    from imgflow_steps.store import Store

KINDS = {"image": "string", "ended": "double", **FIELDS}
NAMED = re.compile(rf"\b({'|'.join(FIELDS)}|exif)\b", re.IGNORECASE)


def named(sql: str) -> bool:
    """Whether a text of SQL speaks of any of it."""
    return bool(NAMED.search(sql))


def columns(row: Row) -> dict[str, Any]:
    """What a row tells, as columns."""
    found: dict[str, Any] = {
        name: float(value) if FIELDS.get(name) == "double" else value for name, value in row.exif.items()
    }
    return {**found, "taken": taken(row.exif)} if "taken" in found else found


def lines(store: Store, municipality: str) -> Iterator[dict[str, Any]]:
    """A line for each row of any pipeline that tells something."""
    for digest in store.folders(f"results/{keys.encode(municipality)}/"):
        with merged(store, keys.rows(municipality, digest)) as rows:
            yield from ({"image": row.image, "ended": row.ended, **columns(row)} for row in rows if row.exif)


def join(base: DuckDBPyConnection) -> None:
    """Make ``catalog`` of the tables ``plain`` and ``exif``: what either knows, with a structure ``exif``.

    ``photographs`` is the same with its fields as columns, but for those that the catalog has itself; ``judged`` is
    ``results`` without the fields that the catalog has itself: what somebody's own table says counts.
    """
    fields = ", ".join(f"{quoted(name)} := {quoted(name)}" for name in FIELDS)
    columns = _columns(base, "plain")
    own = {name.casefold() for name in columns}
    base.execute("CREATE TABLE newest AS SELECT DISTINCT ON (municipality, image) * FROM exif ORDER BY ended DESC")
    shown = [
        "municipality",
        "image",
        *(f"plain.{quoted(name)}" for name in columns if name not in {"municipality", "image"}),
    ]
    theirs = [] if "exif" in own else ["exif"]
    told = f"SELECT municipality, image, struct_pack({fields}) AS exif FROM newest"
    base.execute(
        f"CREATE VIEW catalog AS SELECT {', '.join([*shown, *theirs])} "
        f"FROM plain FULL JOIN ({told}) AS told USING (municipality, image)"
    )
    apart = [f"exif.{quoted(name)}" for name in FIELDS if theirs and name not in own]
    base.execute(f"CREATE VIEW photographs AS SELECT {', '.join(['*', *apart])} FROM catalog")


def judge(base: DuckDBPyConnection) -> None:
    """Make ``judged``: see ``join``."""
    own = {name.casefold() for name in _columns(base, "catalog")}
    both = ", ".join(quoted(name) for name in _columns(base, "results") if name in FIELDS and name in own)
    base.execute(f"CREATE VIEW judged AS SELECT *{f' EXCLUDE ({both})' if both else ''} FROM results")


def _columns(base: DuckDBPyConnection, table: str) -> Iterable[str]:
    return [name for name, *_ in base.execute(f"DESCRIBE {table}").fetchall()]
