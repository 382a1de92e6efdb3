"""Account for every image: one verdict each, the results, the report, and then the summary.

Every pass streams: memory does not grow with the images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.collect.given_up import GivenUp
from imgflow_steps.contract.job import Counts, Exit
from imgflow_steps.records import costs, keys, lease, results, sections
from imgflow_steps.records.costs import Costs, Ledger
from imgflow_steps.records.duplicates import Duplicates, duplicates
from imgflow_steps.records.listing import Listing, read_listing
from imgflow_steps.records.merge import with_rows
from imgflow_steps.records.prediction import read_prediction
from imgflow_steps.records.progress import ShardProgress, read_shards
from imgflow_steps.records.row import Row, Status, read_entries
from imgflow_steps.records.rows import Compaction
from imgflow_steps.records.run import starts, worked
from imgflow_steps.records.summary import Example, Phase, Summary
from imgflow_steps.report import report
from imgflow_steps.report.account import Account
from imgflow_steps.report.coverage import Coverage
from imgflow_steps.report.data import Facts, groups, read_left_out
from imgflow_steps.report.parts import Sections
from imgflow_steps.store import NotFoundError
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.store.walk import UNREADABLE

if TYPE_CHECKING:
    from imgflow_steps.records.duplicates import Hashes
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

UPLOADS = 16  # files written or read at the same time
EXAMPLES = 10  # images without a result that the console names
LISTED, JUDGED, ROWS = "listing.jsonl", "verdicts.jsonl", "rows.jsonl"  # in a temporary folder


def run(store: Store, run: Run, *, output: Path | None) -> Summary:
    """Give every listed image its verdict, write what people and programs read, and tidy up.

    The report goes to ``output`` when something else carries it into the store. The summary is written
    when all of that is in place; remembering what the run took, compacting rows and, unless images failed, deleting
    scratch come after it. Of a run that was never listed to its end there is nothing but a summary that says so.
    """
    listing = read_listing(store, run.id) or Listing()
    with temporary() as name:
        folder = Path(name)
        target = output or folder / "report"
        target.mkdir(parents=True, exist_ok=True)
        try:
            store.download(keys.listing(run.id), folder / LISTED)
        except NotFoundError:
            return _unlisted(store, run)
        verdicts, table = folder / "results.jsonl", folder / "results.csv"
        account, ledger = Account(run=run.id, starts=starts(run), covered=Coverage.of(run.pipeline)), Ledger(run)
        shards = read_shards(store, run.id)
        of = sections.section_of(store, run, folder / LISTED, folder)
        parts = Sections(run.id, run.collect.sections, of) if of else None
        rows = Compaction(store, run.rows, folder / ROWS)
        hashes = _judge(store, run, folder, shards, rows, _counted(account, ledger, parts, since=listing.ended))
        found = duplicates(hashes, run.collect.near)
        results.write(verdicts, table, results.marked(folder / JUDGED, found), account.findings)
        alike = groups(folder / JUDGED, found)
        summary = _summary(store, run, account, listing, found)
        took = ledger.costs(listing, run.workers or max((shard.workers for shard in shards), default=1))
        facts = Facts(
            run=run,
            summary=summary,
            listing=listing,
            account=account,
            alike=alike,
            left_out=read_left_out(store, run),
            shards=shards,
            parts=parts,
            thumbs=report.copy_thumbs(store, account, alike, parts, target),
            expected=read_prediction(store, run.id),
            took=took,
        )
        report.write(target, facts, results.read_jsonl(verdicts))
        pages = {} if output else _pages(target, keys.report(run.id))
        _upload(store, {**pages, keys.results_jsonl(run.id): verdicts, keys.results_csv(run.id): table})
        if output is None:
            store.delete([found.key for found in store.entries(keys.report(run.id)) if found.key not in pages])
        store.write(keys.summary_json(run.id), summary.model_dump_json(indent=1).encode(), "application/json")
        lease.ended(store, run.id, run.engine)
        _tidy(store, run, summary, took, rows)
    return summary


def _unlisted(store: Store, run: Run) -> Summary:
    message = f"listing did not finish; `imgflow retry {run.id}` restarts it"
    ended = {"status": Phase.FAILED, "exit": Exit.IMAGES_FAILED, "message": message, "report": ""}
    summary = _summary(store, run, Account(run=run.id), Listing(), Duplicates()).model_copy(update=ended)
    store.write(keys.summary_json(run.id), summary.model_dump_json(indent=1).encode(), "application/json")
    lease.ended(store, run.id, run.engine)
    return summary


def _judge(
    store: Store,
    run: Run,
    folder: Path,
    shards: Iterable[ShardProgress],
    rows: Compaction,
    counted: Callable[[Row], Row],
) -> Hashes:
    causes = GivenUp(store, run.id, shards)
    with rows.merged() as known:
        judged = (
            results.verdict(entry, row, run.id, "" if row else causes.of(entry.image))
            for entry, row in with_rows(read_entries(folder / LISTED), known)
        )
        return results.spool(folder / JUDGED, map(counted, judged))


def _counted(account: Account, ledger: Ledger, parts: Sections | None, *, since: float) -> Callable[[Row], Row]:
    """Counts a verdict, and what it took if it was computed after ``since``: an earlier attempt's has been told."""

    def count(row: Row) -> Row:
        account.add(row)
        if parts:
            parts.add(row)
        if row.run == account.run and row.ended > since:
            ledger.add(row)
        return row

    return count


def _summary(store: Store, run: Run, account: Account, listing: Listing, found: Duplicates) -> Summary:
    code, message = judge_run(account.counts, run, listing)
    status = Phase.FAILED if code else Phase.SUCCEEDED
    if code and store.stat(keys.stopped(run.id)):
        status, message = Phase.INTERRUPTED, f"stopped before its end; `imgflow retry {run.id}` resumes it"
    lost, ended = account.failed.get(results.LOST), time.time()
    return Summary(
        run=run.id,
        municipality=run.municipality,
        digest=run.digest,
        status=status,
        exit=code,
        counts=account.counts,
        missing=lost.images if lost else 0,
        failed={code: reason.images for code, reason in account.failed.items()},
        rejected={code: reason.images for code, reason in account.rejected.items()},
        examples=_examples(account),
        other=listing.other,
        unlisted=listing.unlisted,
        duplicates=len(found.places),
        duplicate_groups=found.groups,
        near=found.near,
        message=message,
        report=f"{store.url.rstrip('/')}/{keys.report(run.id)}index.html",
        started=run.created,
        ended=ended,
        attempts=len(run.earlier) + 1,
        worked=worked(run, ended),
    )


def _examples(account: Account) -> list[Example]:
    rows = [row for group in (*account.failed.values(), *account.rejected.values()) for row in group.examples]
    return [
        Example(image=row.image, status=row.status, code=row.code, message=row.message)
        for row in sorted(rows, key=lambda row: row.status is Status.REJECTED)[:EXAMPLES]
    ]


def judge_run(counts: Counts, run: Run, listing: Listing) -> tuple[Exit, str]:
    """How a run ends, and why in one line, "" when all is well."""
    if listing.listed and listing.listed != counts.listed:
        return Exit.IMAGES_FAILED, (
            f"list counted {listing.listed:,} images, but its listing holds {counts.listed:,}: was the run submitted "
            f"twice at once? `imgflow retry {run.id}` lists again"
        )
    if counts.failed:
        return (
            Exit.IMAGES_FAILED,
            f"{counts.failed:,} of {counts.listed:,} images failed; `imgflow retry {run.id}` tries them again",
        )
    if nothing := _nothing(counts, listing):
        return nothing
    limit = run.collect.max_rejected
    if counts.rejected > _allowed(limit, counts.listed):
        return (
            Exit.TOO_MANY_REJECTED,
            f"{counts.rejected:,} of {counts.listed:,} images were rejected; allowed are {limit}",
        )
    if unreadable := listing.unlisted.get(UNREADABLE):
        return Exit.IMAGES_FAILED, (
            f"{unreadable:,} folders or files could not be read: {', '.join(listing.unreadable)}; make them readable, "
            f"and `imgflow retry {run.id}` lists again"
        )
    return Exit.DONE, "" if listing.listed else "nothing was listed: there is no image"


def _nothing(counts: Counts, listing: Listing) -> tuple[Exit, str] | None:
    """How a run ends of which nothing came, though there was something to do or should have been; None for others."""
    if counts.processed or counts.cached or not (counts.listed or listing.absent):
        return None
    if counts.listed:
        rejected = "the only image was" if counts.listed == 1 else "all images were"
        return Exit.TOO_MANY_REJECTED, f"nothing came of the run: {rejected} rejected"
    none = "the only chosen image is not" if listing.absent == 1 else f"none of {listing.absent:,} chosen images is"
    return Exit.IMAGES_FAILED, f"nothing came of the run: {none} there; ingest them again, or choose others"


def _allowed(limit: str, listed: int) -> Fraction:
    """Exactly: as a float 32.3 % of 1,000 are less than 323."""
    return listed * Fraction(limit[:-1]) / 100 if limit.endswith("%") else Fraction(limit)


def _pages(folder: Path, prefix: str) -> dict[str, Path]:
    return {prefix + path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def _upload(store: Store, files: Mapping[str, Path]) -> None:
    """Put files into the store, by key; a report's first page when all that it points to is there."""
    last = {key: path for key, path in files.items() if path.name == report.FIRST}
    with ThreadPoolExecutor(UPLOADS) as pool:
        for some in ({key: path for key, path in files.items() if key not in last}, last):
            media = [report.MEDIA[path.suffix] for path in some.values()]
            for _done in pool.map(store.upload, some.values(), some, media):
                pass


def _tidy(store: Store, run: Run, summary: Summary, took: Costs | None, rows: Compaction) -> None:
    """What nobody waits for, all at once."""
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(rows.finish), pool.submit(store.sweep)]
        if took:
            waiting.append(pool.submit(costs.write, store, took))
        if not summary.counts.failed:  # else what was computed so far is what a retry of a later step begins with
            waiting.append(pool.submit(_delete, store, keys.all_scratch(run.id)))
    for done in waiting:
        done.result()


def _delete(store: Store, prefix: str) -> None:
    store.delete(found.key for found in store.entries(prefix))
