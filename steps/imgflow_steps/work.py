"""What a computing process does with a slice of a shard: the only loop over images.

Images are fetched ahead and published behind while the current one is computed. Whatever an image or
a step does, the slice gives one row per image; only the store being away, memory running out and
death end it early, and then the runner finds the image at fault by the journal.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from imgflow_steps import keys, picture, shard
from imgflow_steps.contract import (
    Apply,
    Entry,
    Output,
    Rejected,
    Row,
    Sample,
    Status,
)
from imgflow_steps.desk import AHEAD, BEHIND, Desk, open_desk
from imgflow_steps.dhash import dhash
from imgflow_steps.journal import Journal
from imgflow_steps.slices import Slice
from imgflow_steps.store import (
    ChangedError,
    DeniedError,
    KeyRefusedError,
    NotFoundError,
    StoreError,
    UnreadableError,
)

CODES: dict[type[StoreError], str] = {  # what may keep a store from giving one image and not others
    ChangedError: "changed",
    NotFoundError: "gone",
    DeniedError: "denied",
    UnreadableError: "unreadable",
}
BYTES = 64 << 20  # fewer images are on their way from or to the store when they are so many bytes: a process holds them

PIECE = re.compile(r"([a-z0-9]+(-[a-z0-9]+)*)?")


def process(piece: Slice) -> list[Row]:
    """One row per image, in order; members or pictures are written on the way.

    Raises UnavailableError when the store is away and MemoryError when an image needs too much.
    """
    desk = open_desk(piece.store, piece.run, piece.journal.parent)
    chain = desk.chain(piece.first, piece.last)
    rows: list[Row] = []
    with ExitStack() as stack:
        stack.callback(desk.behind.clear)  # however this ends: the next slice answers for its own
        sink: _Members | _Pictures = (
            _Members(stack.enter_context(piece.output.open("wb"))) if piece.output else _Pictures(desk)
        )
        journal = stack.enter_context(Journal(piece.journal))
        for number, load in _loads(desk, piece, stack):
            with journal.computing(number):
                row, samples = _one(load, chain, piece.run.pipeline.limits.pieces)
                row.run, row.shard, row.ended = piece.run.id, piece.shard, time.time()
                sink.put(number, row, samples)
            rows.append(row)
            sink.settle(leave=BEHIND)
        sink.settle(leave=0)
        desk.settle()
    return rows


Load = Callable[[], tuple[Row, list[Sample]]]


def _one(load: Load, chain: list[tuple[str, Apply]], most: int) -> tuple[Row, list[Sample]]:
    row, samples = load()
    try:
        for label, apply in chain if row.status is Status.PROCESSED else ():
            started = time.perf_counter()
            samples = applied(apply, samples, most)
            row.ms[label] = _since(started)
    except Rejected as verdict:
        return _reject(row, verdict), []
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault in a step costs this image and is shown, not the shard
        return _fail(row, "step-error", f"{label}: {_trace(error)}"), []
    return row, samples


def applied(apply: Apply, samples: list[Sample], most: int) -> list[Sample]:
    """What a step makes of an image's pieces: at most so many, no two of the same name."""
    made: dict[str, Sample] = {}
    for piece in (_checked(out) for sample in samples for out in apply(sample)):
        if piece.piece in made:
            raise TypeError(f"it gave two pieces called {piece.piece!r}; Sample.cut names each apart")
        if len(made) == most:
            raise Rejected("too-many-pieces", f"more than {most} pictures would come of it, the limit (limits.pieces)")
        made[piece.piece] = piece
    return list(made.values())


def _checked(sample: Sample) -> Sample:
    """What a step gave, when it is what the contract says; else TypeError, before it costs more than this image."""
    kind, shape = sample.pixels.dtype, sample.pixels.shape
    if kind != np.uint8 or len(shape) != 3 or shape[2] not in {1, 2, 3, 4} or 0 in shape:  # noqa: PLR2004 - as in Sample
        raise TypeError(f"it gave pixels of {kind} {shape}; they are uint8 of (height, width, 1 to 4 channels)")
    if not PIECE.fullmatch(sample.piece):
        raise TypeError(f"it called a piece {sample.piece!r}; names are [a-z0-9]+, joined by '-'")
    if sample.found:
        json.dumps(dict(sample.found))
    return sample


def _reject(row: Row, verdict: Rejected) -> Row:
    row.status, row.code, row.message = Status.REJECTED, verdict.code, verdict.message
    return row


def _fail(row: Row, code: str, message: str) -> Row:
    row.status, row.code, row.message = Status.FAILED, code, message
    return row


def _trace(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)


def _loads(desk: Desk, piece: Slice, stack: ExitStack) -> Iterator[tuple[int, Load]]:
    if piece.input is None:
        yield from _photographs(desk, piece)
        return
    file = stack.enter_context(piece.input.open("rb"))
    for member in piece.items:
        assert isinstance(member, shard.Member)  # noqa: S101 - narrows the type: with an input, items are members
        yield member.number, partial(shard.read, file, member)


def _photographs(desk: Desk, piece: Slice) -> Iterator[tuple[int, Load]]:
    waiting: deque[tuple[int, Entry, Future[_Fetched]]] = deque()
    items = iter(piece.items)

    def ahead() -> None:
        for item in items:
            assert not isinstance(item, shard.Member)  # noqa: S101 - narrows the type: without input, items are entries
            waiting.append((*item, desk.threads.submit(_fetch, desk, item[1])))
            if len(waiting) > AHEAD or sum(entry.bytes for _, entry, _ in waiting) > BYTES:
                break

    ahead()
    while waiting:
        number, entry, fetched = waiting.popleft()
        yield number, partial(_decode, desk, entry, fetched.result())
        ahead()


@dataclass(frozen=True, slots=True)
class _Fetched:
    data: bytes
    ms: float
    error: Rejected | StoreError | MemoryError | None = None


def _fetch(desk: Desk, entry: Entry) -> _Fetched:
    if entry.problem:
        return _Fetched(b"", 0, Rejected("unsupported-key", entry.problem))
    limit = desk.run.pipeline.limits.bytes
    if entry.bytes > limit:
        return _Fetched(b"", 0, Rejected("too-many-bytes", f"{entry.bytes} bytes are more than the limit of {limit}"))
    started = time.perf_counter()
    try:
        data = desk.source.read(desk.prefix + entry.image, entry.version)
    except (ChangedError, NotFoundError, DeniedError, UnreadableError, MemoryError) as error:
        return _Fetched(b"", _since(started), error)
    return _Fetched(data, _since(started))


def _decode(desk: Desk, entry: Entry, fetched: _Fetched) -> tuple[Row, list[Sample]]:
    row = Row(image=entry.image, version=entry.version, bytes=entry.bytes)
    if isinstance(fetched.error, MemoryError):
        raise fetched.error  # now, when the journal says over which image
    if isinstance(fetched.error, Rejected):
        return _reject(row, fetched.error), []
    if fetched.error:
        return _fail(row, CODES[type(fetched.error)], str(fetched.error)), []
    row.ms["fetch"] = fetched.ms
    started = time.perf_counter()
    limits = desk.run.pipeline.limits
    try:
        decoded = picture.decode(fetched.data, desk.plan, limits)
        row.dhash = dhash(decoded.pixels, decoded.extent)
        row.ms["decode"] = _since(started)
        row.width, row.height, row.format = decoded.width, decoded.height, decoded.format
        if entry.sampled or row.ms["decode"] > desk.slowest:
            desk.slowest = max(desk.slowest, row.ms["decode"])
            row.thumbs = [desk.thumb(row, "before", picture.thumbnail(fetched.data, limits))]
    except Rejected as verdict:
        return _reject(row, verdict), []
    return row, [Sample(decoded.pixels, extent=decoded.extent, image=entry.image)]


class _Members:
    """Samples on their way to the next step."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def put(self, number: int, row: Row, samples: list[Sample]) -> None:
        shard.append(self._out, number, row, samples)

    def settle(self, leave: int) -> None:
        """Nothing is ever pending."""


class _Pictures:
    """Samples at the end: encoded here, written by threads behind the next image's computing."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pending: deque[tuple[Row, int, list[Future[float]]]] = deque()

    def put(self, _number: int, row: Row, samples: list[Sample]) -> None:
        if row.status is not Status.PROCESSED:
            return
        started = time.perf_counter()
        try:
            pictures = [self._encode(row, sample) for sample in samples]
        except Rejected as verdict:
            _reject(row, verdict)
            return
        row.ms["encode"] = _since(started)
        row.outputs = [output for output, _ in pictures]
        if row.thumbs and samples:
            after = picture.thumbnail_of_all([sample.pixels for sample in samples])
            row.thumbs = [row.thumbs[0], self._desk.thumb(row, "after", after)]
        media = picture.CONTENT_TYPE.get(self._desk.run.pipeline.output.format, "")
        writes = [
            self._desk.threads.submit(self._write, output.key, data, media) for output, data in pictures if output.key
        ]
        self._pending.append((row, sum(len(data) for _, data in pictures), writes))

    def _write(self, key: str, data: bytes, media: str) -> float:
        started = time.perf_counter()
        self._desk.store.write(key, data, media)
        return _since(started)

    def _encode(self, row: Row, sample: Sample) -> tuple[Output, bytes]:
        run = self._desk.run
        height, width = sample.pixels.shape[:2]
        shape = Output(key="", sha256="", width=width, height=height, piece=sample.piece, found=dict(sample.found))
        if run.pipeline.output.format == "none":
            return shape, b""
        data = picture.encode(sample.pixels, run.pipeline.output)
        suffix = picture.SUFFIX[run.pipeline.output.format]
        key = keys.published(run.municipality, self._desk.digest, row.image, sample.piece, suffix)
        return shape.model_copy(update={"key": key, "sha256": hashlib.sha256(data).hexdigest()}), data

    def settle(self, leave: int) -> None:
        """Wait until all but ``leave`` images are in the store: a row never speaks of a picture that is not."""
        while len(self._pending) > leave or sum(size for _, size, _ in self._pending) > BYTES:
            row, _, writes = self._pending.popleft()
            try:
                row.ms["publish"] = sum(write.result() for write in writes)
            except KeyRefusedError as error:
                row.outputs = []
                _reject(row, Rejected("unsupported-key", str(error)))
            except DeniedError as error:
                row.outputs = []
                _fail(row, "denied", str(error))
