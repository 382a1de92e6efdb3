"""Shard in, steps, shard out: what every container does with its job."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps import keys
from imgflow_steps.contract import BadParametersError, Counts, Entry, Exit, Job, Result, Row, Status
from imgflow_steps.memory import peak
from imgflow_steps.rows import shard_rows, write_part
from imgflow_steps.run import ShardProgress, load, read_summary
from imgflow_steps.store import NotFoundError, Store, StoreError, UnavailableError

if TYPE_CHECKING:
    from imgflow_steps.pool import Done, Pool
    from imgflow_steps.run import Run
    from imgflow_steps.work import Item

FLUSH_ROWS = 100  # rows are safe in the store after so many…
FLUSH_SECONDS = 2.0  # …or so many seconds, whichever is first

Tell = Callable[[ShardProgress], None]


def run_job(job: Job, store: Store, *, tell: Tell = lambda _: None, pool: Pool | None = None) -> Result:
    """Do one container's work and say how it ended. Raises nothing but KeyboardInterrupt.

    ``pool`` lends computing processes that serve several jobs of one run.
    """
    try:
        return _do(job, store, tell, pool)
    except BadParametersError as error:
        return Result(job=job, exit=Exit.BAD_PARAMETERS, error=str(error))
    except StoreError as error:
        return Result(job=job, exit=Exit.TEMPORARY, error=str(error))
    except OSError as error:
        return Result(job=job, exit=Exit.TEMPORARY, error=f"{type(error).__name__}: {error}")


def _do(job: Job, store: Store, tell: Tell, pool: Pool | None) -> Result:
    try:
        run = load(store, keys.check_run(job.run))
    except NotFoundError:
        raise BadParametersError(f"there is no run {job.run!r} in {store.url}; submit it first") from None
    if job.step == "list":
        return _list(job, store, run)
    if job.step == "collect":
        return _collect(job, store, run)
    first, last = positions(job, run)
    with ExitStack() as stack:
        if pool is None:
            from imgflow_steps.pool import Pool  # noqa: PLC0415 - list and collect compute nothing

            pool = stack.enter_context(Pool(job.workers, run.pipeline.limits.memory))
        return _shard(job, store, run, first, last, pool, tell)


def positions(job: Job, run: Run) -> tuple[int, int]:
    """First and last position that a job covers. Raises BadParametersError when it fits no step of the pipeline."""
    steps = run.pipeline.steps
    if job.step == "fused":
        return 1, len(steps)
    if not 1 <= job.position <= len(steps) or steps[job.position - 1].name != job.step:
        there = ", ".join(f"{i} {call.name}" for i, call in enumerate(steps, 1))
        raise BadParametersError(f"run {run.id} has no step {job.step!r} at position {job.position}; it has: {there}")
    return job.position, job.position


def _list(job: Job, store: Store, run: Run) -> Result:
    from imgflow_steps.list.run import run as list_images  # noqa: PLC0415 - each container loads its own step

    listing = list_images(store, run)
    if job.output:
        out = Path(job.output)
        out.mkdir(parents=True, exist_ok=True)
        for layout in ("steps", "fused"):
            (out / f"{layout}-count").write_text(str(listing.shards if listing.layout == layout else 0))
        (out / "count").write_text(str(listing.shards))
    counts = Counts(
        listed=listing.listed, processed=listing.processed, cached=listing.cached, rejected=listing.rejected
    )
    return Result(job=job, counts=counts, shards=listing.shards, layout=listing.layout)


def _collect(job: Job, store: Store, run: Run) -> Result:
    from imgflow_steps.collect.run import run as collect  # noqa: PLC0415 - each container loads its own step

    summary = collect(store, run, output=Path(job.output) if job.output else None)
    return Result(job=job, exit=summary.exit, error=summary.message if summary.exit else "", counts=summary.counts)


def collected(store: Store, run: str) -> bool:
    """Whether collect has written its summary since the run was last listed."""
    return read_summary(store, run) is not None


def _shard(job: Job, store: Store, run: Run, first: int, last: int, pool: Pool, tell: Tell) -> Result:
    from imgflow_steps.list.run import read_manifest  # noqa: PLC0415 - each container loads its own step
    from imgflow_steps.work import Slice, number  # noqa: PLC0415 - numpy and Pillow, for pixel steps only

    publishes = last == len(run.pipeline.steps)
    entries = read_manifest(store, run.id, job.shard)
    finished = _finished(store, run, job.shard, entries) if publishes else {}
    with _input(job, store, run, first, entries) as (every, source):
        items = [item for item in every if entries[number(item)].image not in finished]
        whole = Slice(
            run=run,
            store=job.store or store.url,
            shard=job.shard,
            first=first,
            last=last,
            items=tuple(items),
            input=source,
            output=None if publishes else pool.path("part"),
            journal=pool.path("journal"),
        )
        label = run.pipeline.labels[last - 1]
        began = ShardProgress(label=label, shard=job.shard, total=len(entries), workers=pool.workers, began=time.time())
        meter = _Meter(store, run, last, began, tell)
        parts: list[tuple[int, Path]] = []
        try:
            meter.count([*finished.values()], keep=False)
            meter.say()
            for done in pool.compute(whole, run.pipeline.limits.seconds):
                rows = done.rows or [_judged(done, run, job.shard)]
                if not publishes:
                    parts.append(_part(done, rows))
                meter.count(rows, keep=publishes)
        except Exception as error:
            meter.progress.error = f"{type(error).__name__}: {error}"
            meter.say()
            raise
        finally:
            meter.flush()
        if not publishes:
            _join(parts, job, store, keys.scratch(run.id, last, job.shard), pool)
        meter.say()
        return Result(job=job, counts=meter.counts)


def _finished(store: Store, run: Run, shard: int, entries: list[Entry]) -> dict[str, Row]:
    """What an attempt before this one has done of the shard, by image; its pod died, or its node."""
    if store.stat(keys.shard_progress(run.id, len(run.pipeline.steps), shard)) is None:  # list removes it
        return {}
    versions = {entry.image: entry.version for entry in entries}
    return {
        row.image: row
        for row in shard_rows(store, run.rows, run.id, shard)
        if row.status is not Status.FAILED and row.ended >= run.created and versions.get(row.image) == row.version
    }


@contextmanager
def _input(
    job: Job, store: Store, run: Run, first: int, entries: list[Entry]
) -> Iterator[tuple[list[Item], Path | None]]:
    from imgflow_steps import shard  # noqa: PLC0415 - numpy, for pixel steps only

    if first == 1:
        yield list(enumerate(entries)), None
        return
    with tempfile.TemporaryDirectory(prefix="imgflow-in-") as folder:
        path = Path(job.input) if job.input else Path(folder) / "in.tar"
        if not job.input:
            store.download(keys.scratch(run.id, first - 1, job.shard), path)
        try:
            yield list(shard.members(path, len(entries))), path
        except shard.ShardDamagedError as error:
            raise UnavailableError(f"{error}; the step before it has to run again") from error


def _judged(done: Done, run: Run, number: int) -> Row:
    """The row of an image that no process survived."""
    from imgflow_steps import shard  # noqa: PLC0415 - numpy, for pixel steps only

    assert done.verdict  # noqa: S101 - narrows the type: no rows, so a verdict
    [item] = done.piece.items
    if isinstance(item, shard.Member):
        assert done.piece.input  # noqa: S101 - narrows the type: members lie in an input
        with done.piece.input.open("rb") as file:
            row, _ = shard.read(file, item)
    else:
        row = Row(image=item[1].image, version=item[1].version, bytes=item[1].bytes)
    row.run, row.shard, row.ended = run.id, number, time.time()
    row.status, row.code, row.message = Status.REJECTED, done.verdict.code, done.verdict.message
    return row


def _part(done: Done, rows: list[Row]) -> tuple[int, Path]:
    from imgflow_steps import shard, work  # noqa: PLC0415 - numpy, for pixel steps only

    number = work.number(done.piece.items[0])
    path = done.piece.output
    assert path  # noqa: S101 - narrows the type: only asked between steps
    if done.verdict:
        with path.open("wb") as out:
            shard.append(out, number, rows[0], [])
    return number, path


def _join(parts: list[tuple[int, Path]], job: Job, store: Store, key: str, pool: Pool) -> None:
    from imgflow_steps import shard  # noqa: PLC0415 - numpy, for pixel steps only

    path = Path(job.output) if job.output else pool.path("tar")
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = [part for _, part in sorted(parts)]
    with path.open("wb") as out:
        shard.join(ordered, out)
    for part in ordered:
        part.unlink()
    if not job.output:
        store.upload(path, key, "application/x-tar")
        path.unlink()


@dataclass(slots=True)
class _Meter:
    """Counts rows, keeps them safe in the store, and says how far the shard is."""

    store: Store
    run: Run
    position: int
    progress: ShardProgress
    tell: Tell
    counts: Counts = field(default_factory=Counts)
    rows: list[Row] = field(default_factory=list)
    said: float = 0.0

    def count(self, rows: list[Row], *, keep: bool) -> None:
        for row in rows:
            rejected, failed = row.status is Status.REJECTED, row.status is Status.FAILED
            self.progress.done += 1
            self.progress.rejected += rejected
            self.progress.failed += failed
            self.counts.listed += 1
            self.counts.rejected += rejected
            self.counts.failed += failed
            self.counts.processed += not (rejected or failed)
            for label, ms in row.ms.items():
                self.progress.ms[label] = round(self.progress.ms.get(label, 0.0) + ms, 3)
        if keep:
            self.rows.extend(rows)
        if len(self.rows) >= FLUSH_ROWS or time.monotonic() - self.said > FLUSH_SECONDS:
            self.flush()
            self.say()

    def flush(self) -> None:
        if self.rows:
            write_part(self.store, self.run.rows, self.rows)
            self.rows = []

    def say(self) -> None:
        self.said = time.monotonic()
        self.progress.updated = time.time()
        self.progress.memory = max(self.progress.memory, peak())
        key = keys.shard_progress(self.run.id, self.position, self.progress.shard)
        self.store.write(key, self.progress.model_dump_json().encode(), "application/json")
        self.tell(self.progress)
