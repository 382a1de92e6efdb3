"""Whether a run's pictures are what its pipeline makes of their sources: made again, without any model.

What models found is in the rows. So each image is taken through the pipeline once more, with what its row tells in
place of the models: the picture must come out with the same bytes, and what covers boxes must cover as many and as
much. The row in ``results.jsonl`` is compared with the one that the computing process wrote down, so that neither can
be changed alone. As no model is asked, a processor with other arithmetic gives the same bytes, too.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.sample import MANUAL, Rejected
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.apply import OpenPipeline, Picture, StepFailedError, declared
from imgflow_steps.records import boxes, findings, keys
from imgflow_steps.records.listing import read_listing
from imgflow_steps.records.merge import image_of, joined
from imgflow_steps.records.results import read_jsonl
from imgflow_steps.records.row import Entry, Published, Row, read_entries
from imgflow_steps.records.rows import merged
from imgflow_steps.store import OF_ONE, ChangedError, NotFoundError, UnreadableError, open_source
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.store.threads import ahead, crew

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Apply, Sample
    from imgflow_steps.contract.step import Params
    from imgflow_steps.pipeline.model import StepCall
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

FETCHES = 8  # sources on their way at the same time
AHEAD = 8  # that wait for their turn


class Fault(StrEnum):
    """What is wrong with an image's picture or row, the gravest first."""

    PICTURE = "the picture in the store is not what the run made"
    GONE = "the picture is no longer in the store"
    OTHER = "source, row and parameters give another picture"
    ROW = "the row is not what was written when the picture was made"
    SOURCE = "the source is gone or another one, so nothing can be made again"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one image: its key, the piece where it is about one, and which picture in the store."""

    image: str
    fault: Fault
    piece: str = ""
    key: str = ""
    said: str = ""


@dataclass(slots=True)
class Verified:
    """How many images and pictures were made again, and what is wrong with them by its kind."""

    images: int = 0
    pictures: int = 0
    covered: int = 0  # boxes that are covered in them
    manual: int = 0  # boxes that people gave for them
    faults: Counter[Fault] = field(default_factory=Counter)


Tell = Callable[[Verified, "Finding | None"], None]


def verify(store: Store, run: Run, *, sample: int, seed: int, tell: Tell) -> Verified:
    """Make the pictures of a run again, of ``sample`` images drawn by ``seed``, 0 for all; what is wrong is told.

    Memory does not grow with their number. Raises BadParametersError where this imgflow would make other pictures by
    its versions, NotFoundError where the run has no results, StoreError.
    """
    _check_versions(store, run)
    so_far = Verified()
    recorded = _Recorded(run)
    source = open_source(run.source) if run.source else store
    with temporary() as folder, merged(store, run.rows) as rows, crew(FETCHES) as pool:
        verdicts = Path(folder, "results.jsonl")
        listing = Path(folder, "listing.jsonl")
        store.download(keys.results_jsonl(run.id), verdicts)
        store.download(keys.listing(run.id), listing)
        told = _told(_made(read_jsonl(verdicts), _drawn(verdicts, sample, seed)), rows, read_entries(listing))
        begun = ((*one, pool.submit(_fetched, source, run.prefix + one[0].image, one[0])) for one in told)
        for row, known, entry, fetched in ahead(begun, AHEAD):
            try:
                data, listed = fetched.result()
            except OF_ONE as error:
                found = [Finding(row.image, Fault.SOURCE, said=str(error))]
            else:
                found = [*_of_row(row, known), *_of_people(row, entry), *recorded.compare(store, row, data, so_far)]
                found = found if listed else _of_another_source(found)
            so_far.images += 1
            so_far.faults.update({one.fault for one in found})
            for one in found:
                tell(so_far, one)
            if not found:
                tell(so_far, None)
    return so_far


def _check_versions(store: Store, run: Run) -> None:
    listing = read_listing(store, run.id)
    if listing and listing.digest and listing.digest != run.digest:
        raise BadParametersError(
            f"run {run.id} was made by imgflow {run.version or 'of another version'}, whose steps give other bytes; "
            "verify it with that version"
        )


def _fetched(source: Store, key: str, row: Row) -> tuple[bytes, bool]:
    """What lies at an image's place, and whether it is as it was listed; files that were copied have other versions."""
    try:
        return source.read(key, boxes.of_source(row.version), row.bytes), True
    except ChangedError:
        return source.read(key), False


def _of_another_source(found: list[Finding]) -> list[Finding]:
    """Findings where the source has another version: that it gives the same pictures shows that it is the same."""
    others = [one for one in found if one.fault is Fault.OTHER]
    said = "it was replaced since the run listed it"
    rest = [one for one in found if one.fault is not Fault.OTHER]
    return [*rest, Finding(others[0].image, Fault.SOURCE, said=said)] if others else rest


def _drawn(verdicts: Path, sample: int, seed: int) -> set[int] | None:
    """Places of the images to look at among those with pictures; None is all of them."""
    if not sample:
        return None
    many = sum(1 for _ in _made(read_jsonl(verdicts), None))
    return set(random.Random(seed).sample(range(many), min(sample, many)))  # noqa: S311 - a sample, no secret


def _made(rows: Iterable[Row], drawn: set[int] | None) -> Iterator[Row]:
    made = (row for row in rows if any(output.key for output in row.outputs))
    return (row for place, row in enumerate(made) if drawn is None or place in drawn)


def _told(
    made: Iterable[Row], rows: Iterable[Row], entries: Iterable[Entry]
) -> Iterator[tuple[Row, Row | None, Entry | None]]:
    """Each row of the results with the one that was written beside its picture, and the entry of the listing."""
    listed = joined(made, entries, image_of, image_of, how="left")
    pairs = ((row, entry) for row, entry in listed if row is not None)
    for pair, known in joined(pairs, rows, lambda one: one[0].image, image_of, how="left"):
        if pair is not None:
            yield pair[0], known, pair[1]


def _of_people(row: Row, entry: Entry | None) -> Iterator[Finding]:
    """Whether the boxes that people had given when the run listed an image are those that its row tells of."""
    try:
        given = boxes.found(entry.boxes, row.width, row.height).get(MANUAL) if entry else None
    except Rejected:
        given = "beside the picture"
    if not entry or entry.version != row.version or any(out.found.get(MANUAL) != given for out in row.outputs):
        yield Finding(row.image, Fault.ROW, said="it tells of other boxes by people than the run listed")


def _of_row(row: Row, known: Row | None) -> Iterator[Finding]:
    """Whether a row of the results is the one that was written beside the picture; a later run may have its own."""
    if known is None:
        yield Finding(row.image, Fault.ROW, said="there is none below rows/")
    elif (known.run, known.ended) == (row.run, row.ended):
        for name in ("version", "width", "height", "format", "dhash", "outputs"):
            if getattr(known, name) != getattr(row, name):
                yield Finding(row.image, Fault.ROW, said=f"{name} differs between results.jsonl and rows/")
                return


class _Recorded:
    """A pipeline whose models say what a row tells of them."""

    def __init__(self, run: Run) -> None:
        self._row: Row | None = None
        self._hiding = 0
        self._format = run.pipeline.output.format
        labels = [
            label for call in run.pipeline.steps for label in getattr(call.params, "labels", ()) if call.step.hides
        ]
        self._labels = tuple(labels)
        self._open = OpenPipeline(run.pipeline, build=self._build, marked=True)

    def _build(self, call: StepCall, params: Params) -> Apply:
        if call.step.finds:
            return _Silent(self._labels)
        work = declared(call, params)
        if not call.step.hides:
            return work
        place, self._hiding = self._hiding, self._hiding + 1
        return lambda sample: work(replace(sample, found=self._before(sample, place)))

    def _before(self, sample: Sample, place: int) -> Mapping[str, Any]:
        """What was found in a sample before the step that covers it, counted from 0; a row keeps the order."""
        assert self._row is not None  # noqa: S101 - narrows the type: set before anything is applied
        mine = (out for out in self._row.outputs if _is_of(out.piece, sample.piece))
        found = dict(next(mine).found)
        marks = [name for name, told in found.items() if _tells_of_cover(told)]
        return dict(islice(found.items(), list(found).index(marks[place])))

    def compare(self, store: Store, row: Row, data: bytes, so_far: Verified) -> Iterator[Finding]:
        """What is wrong with the pictures of an image, and in its row with what they are."""
        self._row = row
        try:
            pictures = self._open.process(data, row.image).pictures
        except (Rejected, StepFailedError, MemoryError, LookupError, StopIteration) as error:
            yield Finding(row.image, Fault.OTHER, said=f"nothing can be made: {error}")
            return
        by_piece = {picture.piece: picture for picture in pictures}
        if by_piece.keys() != {output.piece for output in row.outputs}:
            yield Finding(row.image, Fault.OTHER, said=f"{len(pictures)} pictures instead of {len(row.outputs)}")
            return
        for output in row.outputs:
            so_far.pictures += 1
            so_far.covered += sum(told.get("count", 0) for told in _covers(output.found))
            so_far.manual += len(findings.boxes(output.found).get(MANUAL, ()))
            yield from _picture(store, row, output, by_piece[output.piece])


class _Silent:
    """In place of a model: it says nothing, and claims to know whatever is to be covered."""

    boxes = True

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels

    def __call__(self, sample: Sample) -> Iterable[Sample]:
        yield sample


def _is_of(piece: str, earlier: str) -> bool:
    """Whether a piece is one of what an earlier piece was cut into, or this itself."""
    return not earlier or piece == earlier or piece.startswith(f"{earlier}-")


def _covers(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(told) for told in found.values() if _tells_of_cover(told)]


def _tells_of_cover(told: Any) -> bool:
    """Whether a step that covers something has left this in ``found``."""
    return isinstance(told, Mapping) and told.keys() == {"count", "share"}


def _picture(store: Store, row: Row, output: Published, made: Picture) -> Iterator[Finding]:
    """What is wrong with one picture: as it lies in the store, as the row tells of it, as it comes out now."""
    piece, key = output.piece, output.key
    digest = hashlib.sha256(made.data).hexdigest()
    if (digest, made.width, made.height, made.at) != (output.sha256, output.width, output.height, output.at):
        yield Finding(row.image, Fault.OTHER, piece, key, f"sha256 {digest[:12]}… instead of {output.sha256[:12]}…")
    if _covers(made.found) != _covers(output.found):
        yield Finding(row.image, Fault.ROW, piece, key, "it tells of other boxes covered than are")
    try:
        lying = store.read(key)
    except NotFoundError:
        yield Finding(row.image, Fault.GONE, piece, key)
    except (ChangedError, UnreadableError) as error:
        yield Finding(row.image, Fault.PICTURE, piece, key, str(error))
    else:
        if hashlib.sha256(lying).hexdigest() != output.sha256:
            yield Finding(row.image, Fault.PICTURE, piece, key)
