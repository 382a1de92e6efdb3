"""What a computing process does with a slice of a shard: the only loop over images.

Images are fetched ahead and published behind while the current one is computed. Whatever an image or
a step does, the slice gives one row per image; only the store being away, memory running out and
death end it early, and then the runner finds the image at fault by the journal.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import IO

from imgflow_steps import codec
from imgflow_steps.contract import foreign
from imgflow_steps.contract.sample import Rejected, Sample
from imgflow_steps.pipeline.apply import OpenPipeline, Picture, StepFailedError, part
from imgflow_steps.pixels.dhash import dhash
from imgflow_steps.records import boxes, keys
from imgflow_steps.records.row import Entry, Published, Row, Status, begin
from imgflow_steps.store import (
    OF_ONE,
    ChangedError,
    DeniedError,
    KeyRefusedError,
    NotFoundError,
    StoreError,
    UnreadableError,
)
from imgflow_steps.store.threads import ahead
from imgflow_steps.worker import intermediate
from imgflow_steps.worker.batch import Batch
from imgflow_steps.worker.context import AHEAD, BEHIND, WorkerContext, open_context
from imgflow_steps.worker.journal import Journal

CODES: dict[type[StoreError], str] = {  # what may keep a store from giving one image and not others
    ChangedError: "changed",
    NotFoundError: "gone",
    DeniedError: "denied",
    UnreadableError: "unreadable",
}
BYTES = (
    64 << 20
)  # fewer images are on their way from or to the store when they are this many bytes: a process holds them
OPENING = 30.0  # seconds of processor time that a step may take at least to open, however short images are to take


def process(batch: Batch) -> list[Row]:
    """One row per image, in order; members or pictures are written on the way.

    Raises UnavailableError when the store is away and MemoryError when an image needs too much.
    """
    context = open_context(batch.store, batch.run, batch.journal.parent)
    seconds = batch.run.pipeline.limits.seconds
    rows: list[Row] = []
    with ExitStack() as stack:
        stack.callback(context.behind.clear)  # however this ends: the next batch answers for its own
        journal = stack.enter_context(Journal(batch.journal))
        opened = context.opened(batch.first, batch.last, lambda: journal.opening(max(OPENING, seconds)))
        sink: _Members | _Pictures = (
            _Members(stack.enter_context(batch.output.open("wb"))) if batch.output else _Pictures(context, opened)
        )
        for number, load in _loads(context, opened, batch, stack):
            with journal.computing(number, seconds):
                row, samples = _image(load, opened)
                row.end(batch.run.id, batch.shard)
                sink.put(number, row, samples)
            rows.append(row)
            sink.settle(leave=BEHIND)
        sink.settle(leave=0)
        context.settle()
    return rows


Load = Callable[[], tuple[Row, list[Sample]]]


def _image(load: Load, opened: OpenPipeline) -> tuple[Row, list[Sample]]:
    row, samples = load()
    if row.status is Status.PROCESSED:
        with _judged(row):
            return row, opened.apply(samples, row.ms)
    return row, []


@contextmanager
def _judged(row: Row) -> Iterator[None]:
    """Note in an image's row what goes wrong with it: nothing that one image does ends the loop over all of them."""
    try:
        yield
    except Rejected as verdict:
        _reject(row, verdict)
    except StepFailedError as error:
        _fail(row, "step-error", str(error))
    except (StoreError, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - Rust's panic is no Exception
        _fail(row, "step-error", f"{type(error).__name__}: {error}")


def _reject(row: Row, verdict: Rejected) -> Row:
    row.status, row.code, row.message = Status.REJECTED, verdict.code, verdict.message
    return row


def _fail(row: Row, code: str, message: str) -> Row:
    row.status, row.code, row.message = Status.FAILED, code, message
    return row


def _kept(row: Row, error: StoreError) -> Row:
    """Note what kept the store from giving or taking something of one image: one of ``OF_ONE``."""
    if isinstance(error, KeyRefusedError):
        return _reject(row, Rejected("unsupported-key", str(error)))
    return _fail(row, CODES[type(error)], str(error))


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)


def _loads(context: WorkerContext, opened: OpenPipeline, batch: Batch, stack: ExitStack) -> Iterator[tuple[int, Load]]:
    if batch.input is None:
        yield from _photographs(context, opened, batch)
        return
    file = stack.enter_context(batch.input.open("rb"))
    for member in batch.items:
        assert isinstance(member, intermediate.Member)  # noqa: S101 - narrows the type: with an input, items are members
        yield member.number, partial(intermediate.read, file, member)


def _photographs(context: WorkerContext, opened: OpenPipeline, batch: Batch) -> Iterator[tuple[int, Load]]:
    def begun() -> Iterator[tuple[int, Entry, Future[_Fetched]]]:
        for item in batch.items:
            assert not isinstance(item, intermediate.Member)  # noqa: S101 - narrows the type: without input, entries
            yield *item, context.threads.submit(_fetch, context, item[1])

    for number, entry, fetched in ahead(begun(), AHEAD + 1, weight=lambda item: item[1].bytes, heaviest=BYTES):
        yield number, partial(_decode, context, opened, entry, fetched.result(), thumbs=batch.thumbs)


@dataclass(frozen=True, slots=True)
class _Fetched:
    data: bytes
    ms: float
    error: Rejected | StoreError | MemoryError | None = None


def _fetch(context: WorkerContext, entry: Entry) -> _Fetched:
    if entry.problem:
        return _Fetched(b"", 0, Rejected("unsupported-key", entry.problem))
    if what := foreign.by_name(entry.image):
        return _Fetched(b"", 0, Rejected("unsupported-format", f"it is {what}"))
    limit = context.run.pipeline.limits.bytes
    if entry.bytes > limit:
        return _Fetched(b"", 0, Rejected("too-many-bytes", f"{entry.bytes} bytes are more than the limit of {limit}"))
    started = time.perf_counter()
    try:
        data = context.source.read(context.prefix + entry.image, boxes.of_source(entry.version), entry.bytes)
    except (*OF_ONE, MemoryError) as error:
        return _Fetched(b"", _since(started), error)
    return _Fetched(data, _since(started))


def _decode(
    context: WorkerContext, opened: OpenPipeline, entry: Entry, fetched: _Fetched, *, thumbs: bool
) -> tuple[Row, list[Sample]]:
    row = begin(entry)
    if isinstance(fetched.error, MemoryError):
        raise fetched.error  # now, when the journal says over which image
    if isinstance(fetched.error, Rejected):
        return _reject(row, fetched.error), []
    if fetched.error:
        return _kept(row, fetched.error), []
    row.ms["fetch"] = fetched.ms
    with _judged(row):
        decoded = opened.decode(fetched.data, row.ms)
        with part(row.ms, "decode"):
            row.dhash = dhash(decoded.pixels, decoded.extent)
        row.width, row.height, row.format, row.exif = decoded.width, decoded.height, decoded.format, decoded.exif_values
        if thumbs and (entry.sampled or row.ms["decode"] > context.slowest):
            context.slowest = max(context.slowest, row.ms["decode"])
            limits = context.run.pipeline.limits
            before = [""] if context.run.pipeline.hides else None  # what is to be covered is never shown
            row.thumbs = before or _thumbs(context, row, "before", lambda: codec.thumbnail(fetched.data, limits))
        given = boxes.found(entry.boxes, decoded.width, decoded.height)
        return row, [replace(decoded.sample(entry.image), found=given)]
    return row, []


def _thumbs(context: WorkerContext, row: Row, side: str, draw: Callable[[], bytes]) -> list[str]:
    """The key of a small picture for the report. It may be missing, and never costs the image that it shows."""
    try:
        small = draw()
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - memory and a panic of Rust, too: the image itself had enough
        return []
    return [context.thumb(row, side, small)]


class _Members:
    """Samples on their way to the next step."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def put(self, number: int, row: Row, samples: list[Sample]) -> None:
        intermediate.append(self._out, number, row, samples)

    def settle(self, leave: int) -> None:
        """Nothing is ever pending."""


class _Pictures:
    """Samples at the end: encoded here, written by threads behind the next image's computing."""

    def __init__(self, context: WorkerContext, opened: OpenPipeline) -> None:
        self._context, self._opened = context, opened
        self._format = context.run.pipeline.output.format
        self._pending: deque[tuple[Row, int, list[Future[float]]]] = deque()

    def put(self, _number: int, row: Row, samples: list[Sample]) -> None:
        if row.status is not Status.PROCESSED:
            return
        with _judged(row):
            pictures = self._opened.encode(samples, row.ms)
            row.outputs = [self._published(row, picture) for picture in pictures]
            if row.thumbs and samples:
                every = [sample.pixels for sample in samples]
                row.thumbs += _thumbs(self._context, row, "after", lambda: codec.thumbnail_of_all(every))
            writes = [
                self._context.threads.submit(self._write, published.key, picture.data)
                for published, picture in zip(row.outputs, pictures, strict=True)
                if published.key
            ]
            self._pending.append((row, sum(len(picture.data) for picture in pictures), writes))

    def _write(self, key: str, data: bytes) -> float:
        started = time.perf_counter()
        self._context.store.write(key, data, codec.CONTENT_TYPE[self._format])
        return _since(started)

    def _published(self, row: Row, picture: Picture) -> Published:
        published = Published(
            key="",
            sha256="",
            width=picture.width,
            height=picture.height,
            piece=picture.piece,
            found=dict(picture.found),
            at=picture.at,
        )
        if self._format == "none":
            return published
        run, suffix = self._context.run, codec.SUFFIX[self._format]
        about = {
            "key": keys.published(run.municipality, self._context.digest, row.image, picture.piece, suffix),
            "bytes": len(picture.data),
            "sha256": hashlib.sha256(picture.data).hexdigest(),
            "md5": hashlib.md5(picture.data, usedforsecurity=False).hexdigest(),
        }
        return published.model_copy(update=about)

    def settle(self, leave: int) -> None:
        """Wait until all but ``leave`` images are in the store: a row never speaks of a picture that is not."""
        while len(self._pending) > leave or sum(size for _, size, _ in self._pending) > BYTES:
            row, _, writes = self._pending.popleft()
            try:
                row.ms["publish"] = sum(write.result() for write in writes)
            except OF_ONE as error:
                row.outputs = []
                _kept(row, error)
