"""What a run without results has computed so far, as the first page of its report.

Counts are those of the containers. All else comes of the rows that this attempt has added, each read once. So a look
costs what was computed since the last one, and never what earlier runs did.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.records import keys, rows
from imgflow_steps.records.progress import ProgressReader, read_shards
from imgflow_steps.records.row import Row, Status
from imgflow_steps.records.run import starts, worked
from imgflow_steps.records.summary import Phase, Summary
from imgflow_steps.report import report
from imgflow_steps.report.account import Account
from imgflow_steps.report.coverage import Coverage
from imgflow_steps.report.data import Facts

if TYPE_CHECKING:
    from imgflow_steps.contract.job import Counts
    from imgflow_steps.records.listing import Listing
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

FAILED = 1000  # failed images that are remembered: a container that is tried again may still compute them


class SoFar:
    """Looks at a run again and again."""

    def __init__(self, store: Store, run: Run) -> None:
        self._store, self._run = store, run
        self._progress = ProgressReader(store, run.id)
        self._account = Account(run=run.id, starts=starts(run), covered=Coverage.of(run.pipeline))
        self._known: set[str] = set()
        self._failed: dict[str, Row] = {}
        self._thumbs: dict[str, str] = {}  # those written so far

    def write(self, folder: Path, status: Phase = Phase.RUNNING) -> bool:
        """Write the first page, its style and the small pictures that no page before had; False before a listing.

        Raises StoreError.
        """
        progress = self._progress.read()
        if progress.listing is None:
            return False
        self._read()
        summary = self._summary(progress.counts, progress.listing, status)
        self._copy_thumbs(folder)
        facts = Facts(
            run=self._run,
            summary=summary,
            listing=progress.listing,
            account=self._account,
            alike=[],
            left_out=[],
            shards=read_shards(self._store, self._run.id),
            thumbs=self._thumbs,
            unfinished=True,
        )
        report.write_first(folder, facts)
        return True

    def forget_thumbs(self) -> None:
        """Write all small pictures again, where those of the last page did not come where they belong."""
        self._thumbs = {}

    def _read(self) -> None:
        for row in rows.added(self._store, self._run.rows, self._run.id, self._known):
            if row.ended < self._run.created:  # an earlier attempt's
                continue
            if row.status is not Status.FAILED:
                self._failed.pop(row.image, None)
                self._account.add(row)
            elif len(self._failed) < FAILED:
                self._failed[row.image] = row
        failed = Account(run=self._run.id)
        for row in self._failed.values():
            failed.add(row)
        self._account.failed = failed.failed

    def _copy_thumbs(self, folder: Path) -> None:
        """Under names that no picture of the finished report has, and the same one at every look."""
        new = {key: _name(key) for key in report.thumbs(self._account) if key not in self._thumbs}
        self._thumbs |= {key: new[key] for key in report.copy(self._store, new, folder)}

    def _summary(self, counts: Counts, listing: Listing, status: Phase) -> Summary:
        run, now = self._run, time.time()
        return Summary(
            run=run.id,
            municipality=run.municipality,
            digest=run.digest,
            status=status,
            exit=0,
            counts=counts,
            other=listing.other,
            unlisted=listing.unlisted,
            near=None,
            report=f"{self._store.url.rstrip('/')}/{keys.report(run.id)}{report.FIRST}",
            started=run.created,
            ended=now,
            attempts=len(run.earlier) + 1,
            worked=worked(run, now),
        )


def _name(key: str) -> str:
    number = int(hashlib.sha256(key.encode()).hexdigest()[:14], 16)
    return f"thumbs/{number:017d}{Path(key).suffix}"
