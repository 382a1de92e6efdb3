"""Several images and several lists of operations in, results a little later: ``POST /process`` and ``/v1/jobs``."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from imgflow_service.api import forms
from imgflow_service.api.admission import RETRY
from imgflow_service.api.answers import EPOCH
from imgflow_service.api.choice import bad_pipeline, unrepeated
from imgflow_service.api.front import while_there
from imgflow_service.jobs import records
from imgflow_service.jobs.queue import FAULTS
from imgflow_service.jobs.records import Job, Jobs, Progress, Row, Sent
from imgflow_service.wire import pipelines
from imgflow_service.wire.problems import Problem
from imgflow_service.wire.tracing import Trace
from imgflow_steps.pipeline.model import BadPipelineError

if TYPE_CHECKING:
    from imgflow_service.api.front import Front
    from imgflow_service.jobs.queue import Queue

FIELDS = {"actions": ("actions", "actions[]"), "files": ("files", "files[]")}
WAIT = 60.0  # seconds that a client may wait for a job, at most
LOOK = 0.2  # seconds between two looks at a job that somebody waits for
OPERATIONS = 64 << 10  # bytes of all lists of operations of a request: each goes over every file, and is checked first
FOLLOWERS = 64  # clients that wait for jobs or read their events at a time: each has the store looked at
QUIET = 15.0  # seconds without an event after which a stream shows that it lives
PAGE = 100
FRESH = {"Cache-Control": "no-store"}
PREFER = re.compile(r"(?:^|[,;\s])wait=\"?(\d{1,9})", re.IGNORECASE)


def jobs_of(front: Front) -> tuple[Jobs, Queue]:
    """The jobs of a front, and their line. Raises Problem where it has none."""
    if front.jobs is None or front.queue is None:
        raise Problem("not-found", "this service has no store, and so no jobs; start it with IMGFLOW_STORE")
    return front.jobs, front.queue


async def job_of(front: Front, identity: str) -> Job:
    """A job. Raises Problem."""
    jobs, _ = jobs_of(front)
    job = await asyncio.to_thread(jobs.find, identity)
    if job is None:
        raise Problem("not-found", "there is no such job, or no longer")
    return job


def router(front: Front) -> APIRouter:
    """The routes."""
    followers = _Followers(FOLLOWERS, partial(front.telemetry.refused, "jobs"))
    routes = APIRouter(dependencies=[Depends(front.guest), Depends(unrepeated)], tags=["jobs"])

    @routes.post("/process", openapi_extra=POST, response_class=Response, status_code=202)
    async def process(request: Request) -> Response:
        """Every list of operations in `actions` on every one of `files`, in the order that is given."""
        jobs, _ = jobs_of(front)
        wait = waited(request)
        job = await _taken(front, request)
        progress = await while_there(request, _settled(jobs, job, wait, followers))
        code = 200 if wait and len(progress.rows) == len(job.files) else 202
        headers = {"Location": f"/v1/jobs/{job.id}", "Cache-Control": "no-store"}
        return Response(json.dumps(document(job, progress)), code, headers, "application/json")

    @routes.get("/v1/jobs")
    async def listed(request: Request, limit: int = PAGE, after: str = "") -> dict[str, Any]:
        """Jobs, the newest first; `next` is the following page."""
        known(request, "limit", "after")
        jobs, _ = jobs_of(front)
        ids = [each for each in await asyncio.to_thread(jobs.all) if not after or each < after]
        page = ids[: max(1, min(limit, PAGE))]
        held = [each for each in await asyncio.gather(*(asyncio.to_thread(jobs.find, each) for each in page)) if each]
        far = await asyncio.gather(*(asyncio.to_thread(jobs.progress, each) for each in held))
        told = [summary(each, of) for each, of in zip(held, far, strict=True)]
        following = f"/v1/jobs?after={page[-1]}&limit={len(page)}" if len(ids) > len(page) else None
        return {"jobs": told, "next": following}

    @routes.get("/v1/jobs/{identity}")
    async def shown(request: Request, identity: str) -> Response:
        """A job, and what became of each of its files."""
        jobs, _ = jobs_of(front)
        job = await job_of(front, identity)
        progress = await while_there(request, _settled(jobs, job, waited(request), followers))
        told = json.dumps(document(job, progress))
        return Response(told, headers=FRESH, media_type="application/json")

    @routes.delete("/v1/jobs/{identity}")
    async def cancelled(identity: str) -> dict[str, Any]:
        """Give up what has not begun; what is in hand is finished."""
        jobs, _ = jobs_of(front)
        job = await job_of(front, identity)
        await asyncio.to_thread(jobs.cancel, job)
        return document(job, await asyncio.to_thread(jobs.progress, job))

    @routes.get("/v1/jobs/{identity}/events", response_class=Response)
    async def events(identity: str) -> Response:
        """The job as server-sent events, one for each change, until it is done."""
        jobs, _ = jobs_of(front)
        job = await job_of(front, identity)
        followers.check()
        return StreamingResponse(
            _events(jobs, job, followers), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    @routes.get("/v1/jobs/{identity}/results.zip", response_class=Response)
    async def archive(identity: str) -> Response:
        """All pictures that there are by now, as one archive."""
        jobs, _ = jobs_of(front)
        job = await job_of(front, identity)
        rows = await asyncio.to_thread(jobs.rows, job)
        told = {"Content-Disposition": f'attachment; filename="{job.id}.zip"', "Cache-Control": "no-store"}
        return StreamingResponse(_archive(jobs, rows), media_type="application/zip", headers=told)

    return routes


class _Followers:
    """How many clients wait for jobs, and no more of them than ``most``."""

    def __init__(self, most: int, refused: Callable[[str], None]) -> None:
        self._most, self._refused, self._count = most, refused, 0

    @property
    def full(self) -> bool:
        """Whether there is no place for another one."""
        return self._count >= self._most

    def check(self) -> None:
        """Raises Problem ``busy`` where there is no place."""
        if self.full:
            self._refused("followers")
            detail = f"{self._most} clients follow jobs, as many as may; the job itself can be asked for"
            raise Problem("busy", detail, retry_after=RETRY)

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """One of them."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1


async def _settled(jobs: Jobs, job: Job, seconds: float, followers: _Followers) -> Progress:
    """How far a job is once it is done, or after this many seconds; now, where too many wait already."""
    ends = time.monotonic() + (0 if followers.full else seconds)
    with followers.one_more() if seconds else nullcontext():
        while True:
            progress = await asyncio.to_thread(jobs.progress, job)
            if len(progress.rows) == len(job.files) or time.monotonic() >= ends:
                return progress
            await asyncio.sleep(LOOK)


def known(request: Request, *names: str) -> None:
    """Raises Problem for a parameter that is not among these."""
    if unknown := request.query_params.keys() - set(names):
        raise Problem("bad-request", f"there is no parameter {min(unknown)[:80]!r}; there is: {', '.join(names)}")


def waited(request: Request) -> float:
    """Seconds that a client waits, by ``?wait=`` or ``Prefer: wait=``. Raises Problem."""
    known(request, "wait")
    preferred = PREFER.search(request.headers.get("prefer", ""))
    most = min(int(preferred[1]), WAIT) if preferred else 0  # RFC 7240: a wish, never a fault
    text = request.query_params.get("wait", str(most))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= WAIT:
        raise Problem("bad-request", f"wait is a number of seconds from 0 to {WAIT:g}, not {text[:80]!r}")
    return seconds


async def _taken(front: Front, request: Request) -> Job:
    """The job of a request, in store and line. Raises Problem."""
    jobs, queue = jobs_of(front)
    with front.admission.place() as place:
        async with _form(front, request, place) as form:
            texts = [text for name in FIELDS["actions"] for text in form.fields.get(name, ())]
            sent = [file for file in form.files if file.name or file.size]  # browsers send a field that was left empty
            files = [file for file in sent if file.field in FIELDS["files"]]
            if others := [file.field for file in sent if file.field not in FIELDS["files"]]:
                raise Problem("bad-request", f"a file came as {others[0][:80]!r}, which is not read; send it as files")
            read = await asyncio.to_thread(_pipelines, front, texts)
            if not files or not read:
                missing = "files" if not files else "actions"
                raise Problem("bad-request", f"the form has no {missing}; send -F 'actions={{…}}' -F files=@a.jpg")
            await asyncio.to_thread(queue.admit, len(files))
            named = records.names([file.name for file in files])
            identity, known = await _identity(front, request, read, files)
            if known:
                return known
            listed = tuple(Sent(name=name, bytes=file.size) for name, file in zip(named, files, strict=True))
            trace: Trace = request.state.trace
            about = {"traceparent": trace.parent, "tracestate": trace.state}
            job = Job(id=identity, created=time.time(), files=listed, pipelines=tuple(read), **about)
            await asyncio.to_thread(jobs.save, job, (file.read() for file in files))
    try:
        await asyncio.to_thread(queue.put, job, list(range(len(job.files))))
    except FAULTS:
        front.telemetry.refused("jobs", "broker")  # the job is kept: workers find it once the broker is back
    return job


async def _identity(front: Front, request: Request, read: list[str], files: list[forms.File]) -> tuple[str, Job | None]:
    """Under which id a job is kept, and the job itself where the same request came before. Raises Problem."""
    jobs, _ = jobs_of(front)
    key = request.headers.get("idempotency-key", "")
    if not key:
        return records.new_id(), None
    digest = await asyncio.to_thread(_fingerprint, read, files)
    identity, same = await asyncio.to_thread(jobs.claim, f"{request.state.key}\0{key}", digest)
    if not same:
        raise Problem("bad-request", "this Idempotency-Key was sent with another request; take a new one")
    return identity, await asyncio.to_thread(jobs.find, identity)


def _fingerprint(read: list[str], files: list[forms.File]) -> str:
    digest = hashlib.sha256(json.dumps(read).encode())
    for file in files:
        digest.update(json.dumps([file.name, file.size]).encode() + hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def _pipelines(front: Front, texts: list[str]) -> list[str]:
    """All lists of operations, checked. Raises Problem."""
    if sum(map(len, texts)) > OPERATIONS:
        raise Problem("too-many-bytes", f"the operations have more than {OPERATIONS} bytes; send several requests")
    return [_pipeline(front, text, at) for at, text in enumerate(texts)]


def _pipeline(front: Front, text: str, at: int) -> str:
    try:
        return pipelines.written(pipelines.read(text, front.settings.limits.of_pipeline))
    except BadPipelineError as error:
        problem = bad_pipeline(error)
        problem.more["action"] = at
        raise problem from None


class _form:  # noqa: N801 - used as a function is
    """A form with many files as an asynchronous context."""

    def __init__(self, front: Front, request: Request, place: Any) -> None:
        own = front.settings
        self._reading = forms.read(request, place, own.limits, files=own.limits.files, seconds=own.timeout)

    async def __aenter__(self) -> forms.Form:
        self._form = await self._reading
        return self._form

    async def __aexit__(self, *_: object) -> None:
        self._form.__exit__()


def summary(job: Job, progress: Progress) -> dict[str, Any]:
    """A job in short."""
    rows, expires = progress
    base = f"/v1/jobs/{job.id}"
    links = {"self": base, "results": f"/static/{job.id}/", "events": f"{base}/events", "zip": f"{base}/results.zip"}
    return {
        "job": job.id,
        "status": records.status(job, rows),
        "counts": records.counted(job, rows),
        "created": _moment(job.created),
        "expires": None if expires is None else _moment(expires),
        "links": links,
    }


def document(job: Job, progress: Progress) -> dict[str, Any]:
    """A job, and its files in the order they were sent."""
    files = []
    for number, sent in enumerate(job.files):
        row = progress.rows.get(number)
        results = [
            {"href": href(job, each.name), "width": each.width, "height": each.height, "sha256": each.sha256}
            for each in (row.results if row else ())
        ]
        told = {"status": row.status, "code": row.code, "message": row.message} if row else {"status": "waiting"}
        files.append({"name": sent.name, **told, "sent": href(job, f"sent/{sent.name}"), "results": results})
    return {**summary(job, progress), "files": files}


def href(job: Job, name: str) -> str:
    """Where a picture of a job is looked at."""
    return f"/static/{job.id}/{quote(name)}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


async def _events(jobs: Jobs, job: Job, followers: _Followers) -> AsyncIterator[str]:
    told, spoke = "", time.monotonic()
    with followers.one_more():
        while True:
            progress = await asyncio.to_thread(jobs.progress, job)
            now = json.dumps(summary(job, progress))
            if now != told:
                kind = "done" if len(progress.rows) == len(job.files) else "progress"
                yield f"event: {kind}\ndata: {now}\n\n"
                told, spoke = now, time.monotonic()
                if kind == "done":
                    return
            elif time.monotonic() - spoke > QUIET:
                yield ": still here\n\n"
                spoke = time.monotonic()
            await asyncio.sleep(LOOK)


class _Sink:
    """A file that is only written to; what was written is taken out bit by bit."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def _archive(jobs: Jobs, rows: dict[int, Row]) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]  # it needs no more
        for _, row in sorted(rows.items()):
            for each in row.results:
                archive.writestr(zipfile.ZipInfo(each.name, EPOCH), jobs.store.read(each.key))
                yield sink.take()
    yield sink.take()


POST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["actions", "files"],
                    "properties": {
                        "actions": {"type": "array", "items": {"type": "string"}},
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                },
            },
        },
    },
}
