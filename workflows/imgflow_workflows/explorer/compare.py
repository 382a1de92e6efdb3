"""How the results of two runs differ, in one pass over both."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.merge import order
from imgflow_steps.records.results import read_jsonl, scalars
from imgflow_steps.store import NotFoundError
from imgflow_steps.store.leftovers import temporary

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from imgflow_steps.records.row import Row
    from imgflow_steps.store import Store

SHOWN = 60


@dataclass(slots=True)
class Compared:
    """Numbers of images, and the first that differ: name, in what, and of each run its id, status and picture."""

    totals: dict[str, int] = field(default_factory=dict)
    differing: list[tuple[str, str, list[tuple[str, str, str]]]] = field(default_factory=list)
    more: int = 0


def compare(store: Store, a: str, b: str, unseen: Collection[str] = ()) -> Compared:
    """Two runs that have ended; no picture is named of those ``unseen``. Raises BadParametersError without results."""
    found = Compared(dict.fromkeys(("alike", "that differ", f"only in {a}", f"only in {b}"), 0))
    with temporary() as name:
        for one, other in _pairs(*(_verdicts(store, run, Path(name, str(i))) for i, run in enumerate((a, b)))):
            known = one or other
            assert known  # noqa: S101 - narrows the type: a pair has one at least
            what = _difference(one, other)
            total = "alike" if not what else "that differ" if one and other else f"only in {a if one else b}"
            found.totals[total] += 1
            if what and len(found.differing) < SHOWN:
                sides = [_side(run, row, seen=run not in unseen) for run, row in ((a, one), (b, other))]
                found.differing.append((known.image, what, sides))
            elif what:
                found.more += 1
    return found


def _verdicts(store: Store, run: str, path: Path) -> Iterator[Row]:
    try:
        store.download(keys.results_jsonl(keys.check_run(run)), path)
    except NotFoundError:
        raise BadParametersError(f"{run} has no results yet") from None
    return read_jsonl(path)


def _pairs(ones: Iterator[Row], others: Iterator[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    one, other = next(ones, None), next(others, None)
    while one or other:
        left = bool(one) and (other is None or order(one.image) <= order(other.image))  # type: ignore[union-attr]  # not None
        right = bool(other) and (one is None or order(other.image) <= order(one.image))  # type: ignore[union-attr]  # likewise
        yield (one if left else None, other if right else None)
        one, other = (next(ones, None) if left else one), (next(others, None) if right else other)


def _difference(one: Row | None, other: Row | None) -> str:
    if not (one and other):
        return "listed by one of them alone"
    if (done := {row.status.value for row in (one, other)} - {"processed", "cached"}) and one.status != other.status:
        return f"{one.status} and {other.status}" if done else ""
    words = []
    if [output.sha256 for output in one.outputs] != [output.sha256 for output in other.outputs]:
        words.append("pictures")
    if [dict(scalars(o.found)) for o in one.outputs] != [dict(scalars(o.found)) for o in other.outputs]:
        words.append("findings")
    return f"other {' and '.join(words)}" if words else ""


def _side(run: str, row: Row | None, *, seen: bool) -> tuple[str, str, str]:
    if row is None:
        return run, "", ""
    there = seen and row.outputs and row.outputs[0].key
    address = "picture?" + urlencode({"run": run, "image": row.image}) if there else ""
    return run, row.status.value, address
