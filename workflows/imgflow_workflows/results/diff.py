"""What two runs made otherwise: which pictures, and by how much. Both are read in one pass, side by side."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.pixels.arrays import to_image
from imgflow_steps.records import keys
from imgflow_steps.records.merge import image_of, joined
from imgflow_steps.records.results import read_jsonl, scalars
from imgflow_steps.records.row import WITH_RESULT, Published, Row
from imgflow_steps.store import OF_ONE
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.store.threads import ahead, crew

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

Pair = tuple[Row | None, Row | None]
PROCESSED = "processed"  # the verdict of whatever came to pictures or findings
FETCHES = 8  # pictures on their way at the same time
AHEAD = 8  # pairs of pictures that wait to be compared


class Change(StrEnum):
    """In what two runs differ about a picture, the gravest first."""

    REMOVED = "only in the first"
    ADDED = "only in the second"
    VERDICT = "another verdict"
    SIZE = "another size"
    UNREADABLE = "cannot be read"
    PIXELS = "other pixels"
    FOUND = "other findings"
    BYTES = "other bytes, the same pixels"


MEASURED = {Change.PIXELS, Change.FOUND, Change.BYTES}


@dataclass(frozen=True, slots=True)
class Difference:
    """One picture that differs. ``error`` is the mean absolute error in levels of 255, where both can be compared.

    ``score`` is the largest difference of a number that models found, ``labels`` says that they found other words.
    ``keys`` are the two pictures' in the store, "" for one that is not there.
    """

    image: str
    piece: str
    change: Change
    said: str
    error: float = 0.0
    score: float = 0.0
    labels: bool = False
    keys: tuple[str, str] = ("", "")

    @property
    def grave(self) -> tuple[bool, float, bool, float]:
        """What the worst is chosen by: what cannot be measured, then pixels, words and numbers."""
        return self.change not in MEASURED, self.error, self.labels, self.score

    def over(self, levels: float) -> bool:
        """Whether it is more than an error of this many levels, or something that has no such measure."""
        return self.change not in MEASURED or self.labels or self.error > levels


@dataclass(slots=True)
class Comparison:
    """How two runs differ: numbers of pictures, and the worst of them."""

    pictures: int = 0
    same: int = 0
    neither: int = 0  # images of which both runs have no picture, for the same reason
    changes: Counter[Change] = field(default_factory=Counter)
    over: int = 0
    worst: list[Difference] = field(default_factory=list)  # the worst first


def compare(
    store: Store,
    first: Run,
    second: Run,
    *,
    worst: int,
    levels: float,
    tell: Callable[[Comparison, Difference | None], None],
) -> Comparison:
    """Compare every picture of two runs that came to their ends; only those with another SHA-256 are read.

    ``worst`` is how many differences are kept, ``levels`` the error from which on one counts as ``over``. ``tell`` is
    called after every picture, with what differs if anything does. Memory does not grow with their number.

    Raises NotFoundError when a run has no results, StoreError when the store fails.
    """
    comparison = Comparison()
    kept: list[tuple[tuple[bool, float, bool, float], int, Difference]] = []
    with temporary() as folder, crew(FETCHES) as pool:
        files = [Path(folder, name) for name in ("first", "second")]
        for run, file in zip((first, second), files, strict=True):
            store.download(keys.results_jsonl(run.id), file)
        left, right = map(read_jsonl, files)
        pairs = joined(left, right, image_of, image_of, how="outer")
        found = (difference for pair in _with_pictures(pairs, comparison) for difference in _differences(*pair))
        for difference in _measured(store, pool, found):
            comparison.pictures += 1
            if difference is None:
                comparison.same += 1
            else:
                comparison.changes[difference.change] += 1
                comparison.over += difference.over(levels)
                heapq.heappush(kept, (difference.grave, -comparison.pictures, difference))
                if len(kept) > worst:
                    heapq.heappop(kept)
            tell(comparison, difference)
    comparison.worst = [difference for _, _, difference in sorted(kept, reverse=True)]
    return comparison


def _with_pictures(pairs: Iterable[Pair], comparison: Comparison) -> Iterator[Pair]:
    """The pairs without those that neither run has processed; how many these are is counted."""
    for one, other in pairs:
        if one and other and _verdict(one) == _verdict(other) != PROCESSED:
            comparison.neither += 1
        else:
            yield one, other


def _differences(one: Row | None, other: Row | None) -> Iterator[Difference | None]:
    """What differs about each picture of an image, as far as rows tell; None for what is the same."""
    if one is None or other is None:
        row, change = (one, Change.REMOVED) if other is None else (other, Change.ADDED)
        yield _alone(row, change) if row else None
        return
    verdicts = [_verdict(row) for row in (one, other)]
    if verdicts[0] != verdicts[1]:
        yield Difference(one.image, "", Change.VERDICT, f"{verdicts[1]}, was {verdicts[0]}", keys=_keys(one, other))
        return
    if not one.outputs and not other.outputs:
        yield None
        return
    pieces = [{output.piece: output for output in row.outputs} for row in (one, other)]
    for piece in sorted({*pieces[0], *pieces[1]}):
        yield _picture(one.image, piece, pieces[0].get(piece), pieces[1].get(piece))


def _verdict(row: Row) -> str:
    if row.status in WITH_RESULT:
        return PROCESSED
    return f"{row.status.value}: {row.code}"


def _alone(row: Row, change: Change) -> Difference:
    mine = row.outputs[0].key if row.outputs else ""
    return Difference(row.image, "", change, _verdict(row), keys=(mine, "") if change is Change.REMOVED else ("", mine))


def _keys(one: Row, other: Row) -> tuple[str, str]:
    first, second = (row.outputs[0].key if row.outputs else "" for row in (one, other))
    return first, second


def _picture(image: str, piece: str, was: Published | None, now: Published | None) -> Difference | None:
    if was is None or now is None:
        change = Change.ADDED if was is None else Change.REMOVED
        return Difference(image, piece, change, "", keys=(was.key if was else "", now.key if now else ""))
    said, score, labels = _findings(was, now)
    if was.sha256 == now.sha256 and not said:
        return None
    change = Change.FOUND if was.sha256 == now.sha256 else Change.PIXELS
    if (was.width, was.height) != (now.width, now.height):
        change, said = Change.SIZE, f"{now.width}x{now.height}, was {was.width}x{was.height}"
    return Difference(image, piece, change, said, score=score, labels=labels, keys=(was.key, now.key))


def _findings(was: Published, now: Published) -> tuple[str, float, bool]:
    """What models found otherwise: the gravest of it in words, the largest difference of a number, if words differ."""
    before, after = dict(scalars(was.found)), dict(scalars(now.found))
    said, score, labels = "", 0.0, False
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if old is None or new is None:
            said = said or f"{name} is only in the {'second' if old is None else 'first'}"
        elif isinstance(old, int | float) and isinstance(new, int | float) and not isinstance(old, bool):
            by = abs(new - old)
            if not labels and by >= score:
                said = f"{name} {new:.4g}, was {old:.4g}"
            score = max(score, by)
        elif not labels:
            said, labels = f"{name} {new}, was {old}", True
    return said, score, labels


def _measured(
    store: Store, pool: ThreadPoolExecutor, found: Iterable[Difference | None]
) -> Iterator[Difference | None]:
    """The same, with the error of each pair of pictures whose pixels may differ; fetched ahead, in the same order."""

    def begin(difference: Difference | None) -> tuple[Difference | None, list[Future[bytes]]]:
        read = difference and difference.change is Change.PIXELS and all(difference.keys)
        return difference, [pool.submit(store.read, key) for key in difference.keys] if difference and read else []

    for difference, both in ahead(map(begin, found), AHEAD + 1):
        yield _measure(difference, both)


def _measure(difference: Difference | None, both: list[Future[bytes]]) -> Difference | None:
    if difference is None or not both:
        return difference
    try:
        was, now = (_pixels(future.result()) for future in both)
    except (*OF_ONE, Rejected) as error:
        return replace(difference, change=Change.UNREADABLE, said=str(error))
    apart = mean_absolute_error(was, now)
    if apart:
        return replace(difference, error=apart)
    return replace(difference, change=Change.FOUND if difference.said else Change.BYTES)


def _pixels(data: bytes) -> Pixels:
    """A published picture, whole: it was within every limit when it was made."""
    return codec.decode(data, DecodePlan(), Limits(bytes=max(len(data), 1), pixels=1 << 40)).pixels


def mean_absolute_error(was: Pixels, now: Pixels) -> float:
    """The mean of |was - now| over all pixels and channels, in levels of 255; grey is compared as colour.

    Both are uint8 (h, w, 1 to 4) of the same size.
    """
    mode = "RGBA" if {was.shape[2], now.shape[2]} & {2, 4} else "RGB"
    one, other = (np.asarray(to_image(pixels).convert(mode), np.int16) for pixels in (was, now))
    return float(np.abs(one - other).mean())
