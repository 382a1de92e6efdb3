"""Shard in, steps, shard out: what every container does with its job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from imgflow_steps import __version__
from imgflow_steps.contract.job import Counts, Exit, Job, Result
from imgflow_steps.contract.step import BadParametersError, unreadable
from imgflow_steps.records import keys
from imgflow_steps.records.progress import read_progress
from imgflow_steps.records.row import Entry, Row, Status, begin
from imgflow_steps.records.rows import shard_rows
from imgflow_steps.records.run import load
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import NotFoundError, SilentError, Store, StoreError, UnavailableError, UnwritableError
from imgflow_steps.store.kinds import kind
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.worker import intermediate, log, quarantine
from imgflow_steps.worker.batch import Batch, Item, number
from imgflow_steps.worker.checkpoint import Checkpoint, Tell
from imgflow_steps.worker.memory import container_memory, processes
from imgflow_steps.worker.withdrawal import withdraw

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.worker.pool import Done, Pool
    from imgflow_steps.worker.quarantine import Suspects


def run_job(job: Job, store: Store, *, tell: Tell = lambda _: None, pool: Pool | None = None) -> Result:
    """Do one container's work and say how it ended. Raises nothing but KeyboardInterrupt.

    ``pool`` lends computing processes that serve several jobs of one run.
    """
    try:
        return _do(job, store, tell, pool)
    except BadParametersError as error:
        return Result(job=job, exit=Exit.BAD_PARAMETERS, error=str(error))
    except StoreError as error:
        return failed(job, error)
    except ValidationError as error:
        why = (
            f"run {job.run} in {store.url} cannot be read: {unreadable(error)}; was it written by another imgflow than "
            f"this {__version__}? Command line and containers are of one version"
        )
        return Result(job=job, exit=Exit.BAD_PARAMETERS, error=why)
    except OSError as error:
        return failed(job, UnwritableError(f"{type(error).__name__}: {error}"))  # stores name their own


def failed(job: Job, error: StoreError) -> Result:
    """How a job ends that the store, or a file of this machine, has failed."""
    code = Exit.TEMPORARY if isinstance(error, UnavailableError) else Exit.REFUSED
    return Result(job=job, exit=code, error=str(error), kind=kind(error))


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
            from imgflow_steps.worker.pool import Pool  # noqa: PLC0415 - list and collect compute nothing
            from imgflow_steps.worker.reach import Reach  # noqa: PLC0415 - likewise

            workers, memory = processes(job.workers, run.pipeline.limits.memory, container_memory())
            reach = Reach.of(store.url, run.source).of_container(run.pipeline.container).reading(job.input)
            pool = stack.enter_context(Pool(workers, memory, reach))
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
    from imgflow_steps.list.work import run as list_images  # noqa: PLC0415 - each container loads its own step

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
    from imgflow_steps.collect.work import run as collect  # noqa: PLC0415 - each container loads its own step

    summary = collect(store, run, output=Path(job.output) if job.output else None)
    return Result(job=job, exit=summary.exit, error=summary.message if summary.exit else "", counts=summary.counts)


def collected(store: Store, run: str) -> bool:
    """Whether collect has written its summary since the run was last listed."""
    return read_summary(store, run) is not None


def _shard(job: Job, store: Store, run: Run, first: int, last: int, pool: Pool, tell: Tell) -> Result:
    from imgflow_steps.records.listing import read_manifest  # noqa: PLC0415 - each container loads its own step

    publishes = last == len(run.pipeline.steps)
    entries = read_manifest(store, run.id, job.shard)
    earlier = read_progress(store, run.id, last, job.shard)  # list removes it
    left = quarantine.left_by(earlier)
    finished = _finished(store, run, job.shard, entries) if publishes and earlier else {}
    with _input(job, store, run, first, entries) as (every, source):
        items = [item for item in every if entries[number(item)].image not in finished]
        whole = Batch(
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
        parts: list[tuple[int, Path]] = []
        with Checkpoint(store, whole, len(entries), pool.workers, tell, left) as meter:
            meter.count([*finished.values()], keep=False)
            for done in _heard(_computed(pool, whole, meter, left), store):
                rows = done.rows or [_judged(done, run, job.shard)]
                _say(rows, run.pipeline.labels[: first - 1])
                if publishes:
                    withdraw(store, run, rows)
                else:
                    parts.append(_part(done, rows))
                meter.count(rows, keep=publishes)
        if not publishes:
            _join(parts, job, store, keys.scratch(run.id, last, job.shard), pool)
        return Result(job=job, counts=meter.counts)


def _say(rows: list[Row], before: list[str]) -> None:
    """Log what became of images in this container; what an earlier one put aside only passes through."""
    parts = {"fetch", "decode", *before} if before else set()
    for row in rows:
        if not before or before[-1] in row.ms:
            log.image(row, parts)


def _finished(store: Store, run: Run, shard: int, entries: list[Entry]) -> dict[str, Row]:
    """What an attempt before this one has done of the shard, by image; its pod died, or its node."""
    versions = {entry.image: entry.version for entry in entries}
    return {
        row.image: row
        for row in shard_rows(store, run.rows, run.id, shard)
        if row.status is not Status.FAILED and row.ended >= run.created and versions.get(row.image) == row.version
    }


def _heard(computed: Iterator[Done], store: Store) -> Iterator[Done]:
    """What is computed. That a process has found the store silent, this one need not find out for itself."""
    try:
        yield from computed
    except SilentError:
        store.doubt()
        raise


def _computed(pool: Pool, whole: Batch, meter: Checkpoint, left: Suspects) -> Iterator[Done]:
    """Every image of a shard, those first over which an earlier container may have died."""
    from imgflow_steps.worker.pool import Done  # noqa: PLC0415 - as for Pool itself

    seconds = whole.run.pipeline.limits.patience
    items = {number(item): item for item in whole.items}
    for n in filter(items.__contains__, left.convicted):
        output = pool.path("part") if whole.output else None
        yield Done(replace(whole, items=(items.pop(n),), output=output), [], quarantine.VERDICT)
    alone = [n for n in left.alone if n in items]
    for i, n in enumerate(alone):
        meter.alone(n, alone[i:])
        yield from pool.compute(replace(whole, items=(items.pop(n),)), seconds)
    if alone:
        meter.alone(None, ())
    yield from pool.compute(replace(whole, items=tuple(items.values())), seconds, meter.under_way)


@contextmanager
def _input(
    job: Job, store: Store, run: Run, first: int, entries: list[Entry]
) -> Iterator[tuple[list[Item], Path | None]]:
    if first == 1:
        yield list(enumerate(entries)), None
        return
    with temporary() as folder:
        path = Path(job.input) if job.input else Path(folder) / "in.tar"
        if not job.input:
            store.download(keys.scratch(run.id, first - 1, job.shard), path)
        try:
            yield list(intermediate.members(path, len(entries))), path
        except intermediate.ShardDamagedError as error:
            raise UnavailableError(f"{error}; the step before it has to run again") from error


def _judged(done: Done, run: Run, shard_number: int) -> Row:
    """The row of an image that no process survived."""
    assert done.verdict  # noqa: S101 - narrows the type: no rows, so a verdict
    [item] = done.piece.items
    if isinstance(item, intermediate.Member):
        assert done.piece.input  # noqa: S101 - narrows the type: members lie in an input
        with done.piece.input.open("rb") as file:
            row, _ = intermediate.read(file, item)
    else:
        row = begin(item[1])
    row.end(run.id, shard_number)
    row.status = Status.FAILED if done.again else Status.REJECTED
    row.code, row.message = done.verdict.code, done.verdict.message
    return row


def _part(done: Done, rows: list[Row]) -> tuple[int, Path]:
    first = number(done.piece.items[0])
    path = done.piece.output
    assert path  # noqa: S101 - narrows the type: only asked between steps
    if done.verdict:
        with path.open("wb") as out:
            intermediate.append(out, first, rows[0], [])
    return first, path


def _join(parts: list[tuple[int, Path]], job: Job, store: Store, key: str, pool: Pool) -> None:
    path = Path(job.output) if job.output else pool.path("tar")
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = [part for _, part in sorted(parts)]
    with path.open("wb") as out:
        intermediate.join(ordered, out)
    for part in ordered:
        part.unlink()
    if not job.output:
        store.upload(path, key, "application/x-tar")
        path.unlink()
