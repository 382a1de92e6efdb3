"""What becomes of the images of jobs: each through the processors, its results and its row into the store."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from celery import Task
from celery.worker import state

from imgflow_service.jobs.queue import FAULTS, TASK, Queue
from imgflow_service.jobs.records import Jobs, Result, Row, born, result_name
from imgflow_service.jobs.telemetry import Telemetry
from imgflow_service.wire.messages import ImageRequest
from imgflow_service.wire.problems import Problem
from imgflow_service.wire.processor_pb2 import ProcessRequest
from imgflow_service.wire.processors import Processors
from imgflow_service.wire.tracing import Trace, Tracer
from imgflow_steps.contract.options import SUFFIX_OF_TYPE
from imgflow_steps.records import keys
from imgflow_steps.store import NotFoundError, StoreError
from imgflow_steps.worker.log import facts

if TYPE_CHECKING:
    from imgflow_service.jobs.records import Job
    from imgflow_service.settings import ServiceSettings
    from imgflow_steps.store import Store

T = TypeVar("T")

AGAIN = {"busy": 100, "timeout": 2, "internal": 2}  # tries after the first, by what went wrong
STORE_AGAIN = 100
LONGEST = 30.0  # seconds between two tries
SWEEP = 5.0  # seconds between two looks for what the broker has lost
PRUNE = 3600.0

_LOG = logging.getLogger("imgflow_service.jobs")


class Loop:
    """An event loop in a thread of its own, for those who have none."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="jobs-loop", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` gives or raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class Worker:
    """Takes images from the line until ``stop``; any number of workers share a line."""

    def __init__(self, settings: ServiceSettings, store: Store, queue: Queue, tracer: Tracer) -> None:
        self.jobs, self.queue = Jobs(store, settings.jobs.days), queue
        self._tracer = tracer
        self._settings, self._store = settings, store
        self._loop = Loop()
        self._ending = threading.Event()
        self._left = queue.embedded  # what an earlier process left open is to be begun again
        self.telemetry = Telemetry()
        self._processors = self._loop.run(self._open())

        def image(task: Task[Any, Any], identity: str, number: int) -> None:
            self._image(task, identity, number)

        queue.app.set_default()  # threads of the pool know no other: a retry would go to the broker of a nameless app
        queue.app.task(bind=True, name=TASK, max_retries=None, shared=False)(image)
        self._controller = queue.app.WorkController(
            app=queue.app, pool="threads", concurrency=settings.jobs.concurrency, loglevel="WARNING"
        )
        self._threads = [
            threading.Thread(target=self._controller.start, name="jobs", daemon=True),
            threading.Thread(target=self._watch, name="jobs-watch", daemon=True),
        ]

    @property
    def working(self) -> bool:
        """Whether images are still taken from the line."""
        return self._threads[0].is_alive()

    def start(self) -> None:
        """Begin, with what an earlier process has left open where the line is in memory."""
        state.should_stop = None
        if self._left:
            try:
                self._resume()
            except StoreError as error:  # it may be back soon, and pictures without a job need none
                _LOG.warning("watch", extra=facts(message=str(error)))
        for thread in self._threads:
            thread.start()

    def stop(self, grace: float) -> None:
        """Take no more, and give what is in hand its time; what is not done is done later, by another."""
        self._ending.set()
        state.should_stop = 0
        self._threads[0].join(grace)
        self._loop.run(self._processors.close())

    async def _open(self) -> Processors:
        return Processors(self._settings.api.processors, self._settings.limits.bytes, self._tracer)

    def _image(self, task: Task[Any, Any], identity: str, number: int) -> None:
        try:
            job = self.jobs.find(identity)
            if job is None:
                return
            if self._store.stat(job.row(number)):
                self.jobs.close(job)  # whoever wrote the row may have died before; or the same request came twice
                return
            self._finish(job, number)
        except Problem as problem:
            self._again(task, AGAIN[problem.code], problem.retry_after, problem, identity, number)
        except StoreError as error:
            self._again(task, STORE_AGAIN, 1.0, error, identity, number)

    def _finish(self, job: Job, number: int) -> None:
        """Take an image through its pipelines and keep its row, as a span of the request that asked for the job."""
        with self._tracer.span(TASK, job.trace, "consumer") as span:
            row = self._row(job, number, span.trace)
            self.jobs.write(job, number, row)
            request_id = _request_id(job, number)
            span.note({"imgflow.job": job.id, "imgflow.code": row.code, "imgflow.request_id": request_id})
            self.telemetry.files.labels(row.status).inc()
            said = {"job": job.id, "file": number, "status": row.status, "code": row.code}
            about = {"request_id": request_id, "traceparent": span.trace.parent}
            _LOG.info("file", extra=facts(**said, **about, pictures=len(row.results)))

    def _again(
        self, task: Task[Any, Any], most: int, least: float, error: Exception, identity: str, number: int
    ) -> None:
        """Another try, a little later; the last one's fault is the image's row."""
        tries = task.request.retries
        _LOG.warning("again", extra=facts(job=identity, file=number, tries=tries, message=str(error)))
        try:
            raise task.retry(exc=error, countdown=min(LONGEST, max(least, 0.5 * 2**tries)), max_retries=most)
        except (Problem, StoreError):  # the error itself comes back from the last try
            code = error.code if isinstance(error, Problem) else "store"
            if job := self.jobs.find(identity):
                self.jobs.write(job, number, Row(status="failed", code=code, message=str(error)))

    def _row(self, job: Job, number: int, trace: Trace) -> Row:
        if self.jobs.cancelled(job):
            return Row(status="cancelled", code="cancelled", message="it was cancelled before it began")
        results: list[Result] = []
        try:
            data = self._store.read(job.sent(number))
            if not data:
                return Row(status="rejected", code="empty", message="the file has no bytes")
            for action, pipeline in enumerate(job.pipelines):
                results += self._made(job, number, action, pipeline, data, trace)
        except NotFoundError:
            return Row(status="failed", code="not-found", message="what was sent is no longer in the store")
        except Problem as problem:
            if problem.code in AGAIN:
                raise
            found = "rejected" if problem.lasting else "failed"
            return Row(status=found, code=problem.code, message=problem.detail)
        return Row(status="processed", results=tuple(results))

    def _made(self, job: Job, number: int, action: int, pipeline: str, data: bytes, trace: Trace) -> list[Result]:
        name = job.files[number].name
        request = ProcessRequest(name=name, pipeline_json=pipeline, request_id=_request_id(job, number))
        asked = ImageRequest(request, data)
        response = self._loop.run(self._processors.process(asked, self._settings.timeout, trace))
        made = []
        for at, picture in enumerate(one for one in response.pictures if one.content_type):
            suffix = SUFFIX_OF_TYPE[picture.content_type]
            key = keys.job(job.id, f"results/{number:04d}-{action:02d}-{at:05d}.{suffix}")
            self._store.write(key, picture.data, picture.content_type)
            about = {field: getattr(picture, field) for field in ("content_type", "width", "height", "sha256")}
            made.append(Result(name=result_name(job, number, action, at, suffix), key=key, **about))
        return made

    def _watch(self) -> None:
        """Look now and then for what a broker that was restarted has lost, and for what is too old to keep."""
        pruned = 0.0
        while not self._ending.wait(SWEEP):
            try:
                if self._left:
                    self._resume()
                if time.monotonic() - pruned > PRUNE or not pruned:
                    if gone := self.jobs.prune(time.time()):
                        _LOG.info("pruned", extra=facts(jobs=gone))
                    pruned = time.monotonic()
                opened = self.jobs.open()
                self.telemetry.oldest.set(max(0.0, time.time() - born(opened[0])) if opened else 0)
                self.telemetry.queued.set(self.queue.waiting())
                if opened:
                    self.queue.restore()
                    if self.queue.lost():
                        self._put_again()
            except (StoreError, Problem, ValueError, *FAULTS) as error:
                _LOG.warning("watch", extra=facts(message=str(error)))

    def _resume(self) -> None:
        self._put_again()
        self._left = False

    def _put_again(self) -> None:
        for identity in self.jobs.open():
            try:
                job = self.jobs.find(identity)
                if job is None or self.jobs.close(job):
                    continue
            except ValueError as error:  # damaged: the others do not wait for it
                _LOG.warning("watch", extra=facts(job=identity, message=str(error)[:200]))
                continue
            rows = self.jobs.rows(job)
            missing = [number for number in range(len(job.files)) if number not in rows]
            _LOG.info("again", extra=facts(job=identity, files=len(missing)))
            self.queue.put(job, missing)


def _request_id(job: Job, number: int) -> str:
    """What logs call an image of a job."""
    return f"{job.id}-{number}"
