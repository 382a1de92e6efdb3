"""A job as it lies in the store: what was asked, a row for each image that is done, and all rows once they are.

``jobs/<id>/job.json`` is written last of what a client sends, so a job that is there is whole; ``sent/`` and
``results/`` are numbered, since names come from clients; ``rows/<n>.json`` is the whole state of an image, so that
doing it twice does no harm; ``done.json`` closes the job, and from then on its days are counted.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from imgflow_service.wire.tracing import Trace
from imgflow_steps.records import keys
from imgflow_steps.store import ChangedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.store import Store

ROW = re.compile(r"/\d{4}\.json$")
ID = re.compile(r"[0-9a-f]{32}")
TIME = 11  # hex digits of an id that are milliseconds, so that ids sort by age
DAY = 86_400.0
NAME = 100  # characters of a file's name that are kept
READERS = 16
FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\"<>|*?:]")


class Record(BaseModel):
    """A part of a document."""

    model_config = ConfigDict(frozen=True)


class Result(Record):
    """A picture that was made: its name for clients, and where it lies."""

    name: str
    key: str
    content_type: str
    width: int
    height: int
    sha256: str


class Row(Record):
    """What became of an image."""

    status: Literal["processed", "rejected", "failed", "cancelled"]
    code: str = ""
    message: str = ""
    results: tuple[Result, ...] = ()


class Sent(Record):
    """An image as it was sent; ``name`` is its own among those of its job."""

    name: str
    bytes: int


class Job(Record):
    """What was asked. ``pipelines`` are JSON, each for every file."""

    id: str
    created: float  # seconds since the epoch
    files: tuple[Sent, ...]
    pipelines: tuple[str, ...]
    traceparent: str = ""  # of the request that asked
    tracestate: str = ""

    @property
    def trace(self) -> Trace:
        """The trace that its images belong to."""
        return Trace(self.traceparent, self.tracestate)

    def sent(self, number: int) -> str:
        """Where an image lies."""
        return keys.job(self.id, f"sent/{number:04d}")

    def row(self, number: int) -> str:
        """Where its row lies."""
        return keys.job(self.id, f"rows/{number:04d}.json")


class Progress(NamedTuple):
    """Rows by the number of their image, those that there are; and until when a job that has ended is kept."""

    rows: dict[int, Row]
    expires: float | None = None  # seconds since the epoch


def new_id() -> str:
    """An id that nobody guesses."""
    return f"{int(time.time() * 1000):0{TIME}x}" + token_hex(11)[:21]


def born(job: str) -> float:
    """When a job began, by its id: seconds since the epoch."""
    return int(job[:TIME], 16) / 1000


def names(given: list[str]) -> list[str]:
    """Names of files as they are kept: the last part, no character that a path minds, no two the same."""
    taken: set[str] = set()
    kept = []
    for text in given:
        last = FORBIDDEN.sub("_", text.replace("\\", "/").rpartition("/")[2]).strip(". ") or "image"
        stem, dot, suffix = last.rpartition(".") if "." in last else (last, "", "")
        stem, number, stem_now = stem[:NAME], 1, stem[:NAME]
        while stem_now.casefold() in taken:
            number += 1
            stem_now = f"{stem}~{number}"
        taken.add(stem_now.casefold())
        kept.append(stem_now + dot + suffix[:NAME])
    return kept


def result_name(job: Job, file: int, action: int, number: int, suffix: str) -> str:
    """What a result is called: the stem of its image, the action where there are several, and its number from 0."""
    stem = job.files[file].name
    stem = stem.rpartition(".")[0] or stem
    of = f"{action + 1}-" if len(job.pipelines) > 1 else ""
    return f"{stem}-{of}{number}.{suffix}"


class Jobs:
    """All jobs of a store, each kept for ``days`` once it has ended. Methods block; they raise StoreError."""

    def __init__(self, store: Store, days: float) -> None:
        self.store, self._seconds = store, days * DAY
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="rows")

    def claim(self, client_key: str, fingerprint: str) -> tuple[str, bool]:
        """The job of an idempotency key, and whether its request was this one; made up where there was none."""
        place = keys.job_claim(client_key)
        mine = {"job": new_id(), "fingerprint": fingerprint}
        try:
            self.store.replace(place, json.dumps(mine).encode())
        except ChangedError:
            mine = json.loads(self.store.read(place))
        return mine["job"], mine["fingerprint"] == fingerprint

    def save(self, job: Job, contents: Iterator[bytes]) -> None:
        """Keep a job and its images."""
        for number, data in enumerate(contents):
            self.store.write(job.sent(number), data)
        self.store.write(keys.job_open(job.id), b"")
        self.store.write(keys.job(job.id, "job.json"), job.model_dump_json().encode(), "application/json")

    def find(self, job: str) -> Job | None:
        """A job by its id; None where there is none, or no longer."""
        if not ID.fullmatch(job):
            return None
        try:
            return Job.model_validate_json(self.store.read(keys.job(job, "job.json")))
        except NotFoundError:
            return None

    def all(self) -> list[str]:
        """Ids, the newest first."""
        return sorted((one for one in self.store.folders(keys.JOBS) if ID.fullmatch(one)), reverse=True)

    def open(self) -> list[str]:
        """Ids of jobs that are not closed, the oldest first."""
        return [entry.key.rpartition("/")[2] for entry in self.store.entries(keys.job_open(""))]

    def rows(self, job: Job) -> dict[int, Row]:
        """Rows by the number of their image; those that are not there are yet to come."""
        try:
            done = json.loads(self.store.read(keys.job(job.id, "done.json")))
            return {int(number): Row.model_validate(row) for number, row in done.items()}
        except NotFoundError:
            pass
        # only what is called as a row is: a store on S3 tries beside the first one whether its server heeds conditions
        there = [entry.key for entry in self.store.entries(keys.job(job.id, "rows/")) if ROW.search(entry.key)]
        rows = self._readers.map(lambda key: Row.model_validate_json(self.store.read(key)), there)
        return {int(key[-9:-5]): row for key, row in zip(there, rows, strict=True)}

    def progress(self, job: Job) -> Progress:
        """How far a job is."""
        rows = self.rows(job)
        ended = self._ended(job.id) if len(rows) == len(job.files) else None
        return Progress(rows, ended and ended + self._seconds)

    def write(self, job: Job, number: int, row: Row) -> None:
        """Keep a row, unless there is one, and close the job with its last."""
        with suppress(ChangedError):
            self.store.replace(job.row(number), row.model_dump_json().encode())
        self.close(job)

    def close(self, job: Job) -> bool:
        """Close a job whose rows are all there; whether it is closed."""
        rows = self.rows(job)
        if len(rows) < len(job.files):
            return False
        document = {str(number): row.model_dump() for number, row in rows.items()}
        self.store.write(keys.job(job.id, "done.json"), json.dumps(document).encode(), "application/json")
        self.store.delete([keys.job_open(job.id)])
        return True

    def cancel(self, job: Job) -> None:
        """Give up what has not begun."""
        self.store.write(keys.job(job.id, "cancelled"), b"")

    def cancelled(self, job: Job) -> bool:
        """Whether it was given up."""
        return self.store.stat(keys.job(job.id, "cancelled")) is not None

    def prune(self, now: float) -> int:
        """Remove what is old at ``now``, in seconds since the epoch; how many jobs that were.

        A job that is open stays, however old it is: somebody waits for it. What was sent and never became a job goes,
        as do the idempotency keys of jobs that are gone.
        """
        before = now - self._seconds
        old = [one for one in self.all() if born(one) < before and self._is_over(one, before)]
        for one in old:
            # First what makes it a job: without it the rest is neither found nor begun again.
            self.store.delete([keys.job(one, "job.json"), keys.job_open(one)])
            self.store.delete(entry.key for entry in self.store.entries(keys.job(one, "")))
        stale = (entry.key for entry in self.store.entries(keys.CLAIMS) if 0 < entry.placed < before)
        self.store.delete(key for key in stale if not self._is_claimed(key))
        return len(old)

    def _is_claimed(self, key: str) -> bool:
        """Whether the job of an idempotency key is there."""
        try:
            job = json.loads(self.store.read(key))["job"]
        except (NotFoundError, ValueError, KeyError, TypeError):
            return False
        return bool(ID.fullmatch(job)) and self.store.stat(keys.job(job, "job.json")) is not None

    def _is_over(self, job: str, before: float) -> bool:
        """Whether a job had ended by then; or what never became one was last added to."""
        if self.store.stat(keys.job(job, "job.json")):
            ended = self._ended(job)
            return ended is not None and ended < before
        return all(entry.placed < before for entry in self.store.entries(keys.job(job, "")))

    def _ended(self, job: str) -> float | None:
        """When a job was closed, by the store's clock; None while it is open."""
        found = self.store.stat(keys.job(job, "done.json"))
        return found.placed if found else None


def counted(job: Job, rows: dict[int, Row]) -> dict[str, int]:
    """How many images became what; ``listed`` is the sum of the others."""
    tally = Counter(row.status for row in rows.values())
    told = {status: tally[status] for status in ("processed", "rejected", "failed", "cancelled")}
    return {"listed": len(job.files), "waiting": len(job.files) - len(rows), **told}


def status(job: Job, rows: dict[int, Row]) -> str:
    """Of a job as a whole: failed where nothing came of it."""
    counts: dict[str, Any] = counted(job, rows)
    if counts["waiting"]:
        return "running" if rows else "queued"
    if counts["processed"]:
        return "done"
    return "cancelled" if counts["cancelled"] else "failed"
