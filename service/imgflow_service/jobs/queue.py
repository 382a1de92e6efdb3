"""Tasks of jobs in Celery, one for each image; they hold numbers, and all state is in the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from celery import Celery
from kombu.entity import Queue as Line
from kombu.exceptions import OperationalError

from imgflow_service.wire.problems import Problem

if TYPE_CHECKING:
    from kombu.connection import Connection

    from imgflow_service.jobs.records import Job
    from imgflow_service.settings import JobsSettings

TASK = "imgflow.image"
LINE = "imgflow-jobs"
IN_MEMORY = "memory://localhost/"  # of no name kombu warns
PUBLISHING = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.5}
ROUNDING = 1  # second by which a broker may be younger than it says: it counts from the full second in which it began
RETRY = 2.0  # seconds after which a client may ask again
FAULTS = (OperationalError, OSError)


class Queue:
    """The line of images before the jobs workers."""

    def __init__(self, settings: JobsSettings) -> None:
        self._settings = settings
        self.embedded = not settings.broker
        self.app = Celery("imgflow", broker=settings.broker or IN_MEMORY, set_as_current=False)
        self.app.conf.update(
            task_default_queue=LINE,
            task_queues=[Line(LINE)],  # type: ignore[no-untyped-call]  # of kombu
            task_ignore_result=True,
            task_acks_late=True,
            task_reject_on_worker_lost=True,
            worker_prefetch_multiplier=1,
            worker_hijack_root_logger=False,
            worker_send_task_events=False,
            worker_enable_remote_control=False,
            broker_connection_retry_on_startup=True,
            broker_connection_max_retries=None,
            broker_transport_options={
                "visibility_timeout": settings.patience,
                "socket_timeout": 5,
                "socket_connect_timeout": 2,
            },
        )

    def waiting(self) -> int:
        """Images in the line. Raises Problem ``busy`` where the broker is away."""
        try:
            with self._connected() as connection:
                channel: Any = connection.default_channel
                return int(channel._size(LINE))  # noqa: SLF001 - kombu has no other word for it
        except FAULTS as error:
            raise Problem("busy", "the queue of jobs does not answer just now", retry_after=RETRY) from error

    def lost(self) -> bool:
        """Whether nothing is in the line and nothing in a worker's hands: what is open then is in neither.

        Raises OperationalError and OSError.
        """
        if self.embedded:
            return False
        with self._connected() as connection:
            channel: Any = connection.default_channel
            return not channel._size(LINE) and not channel.client.hlen(channel.unacked_key)  # noqa: SLF001 - as above

    def restore(self) -> None:
        """Put back into the line what a worker has had in hand for longer than ``patience``: it is dead.

        So it is where the broker is younger than that: a worker forgets what it had in hand with its connection, and
        a broker that keeps what it is told does not. What is handed out in the second after the restart may be done
        twice, with the same row. Kombu restores only now and then, and knows nothing of restarts.
        Raises OperationalError and OSError.
        """
        if self.embedded:
            return
        with self._connected() as connection:
            channel: Any = connection.default_channel
            age = self._settings.patience
            with suppress(channel.ResponseError):  # not every broker tells: to some users INFO is forbidden
                age = channel.client.info("server").get("uptime_in_seconds", age) - ROUNDING
            channel.visibility_timeout = max(0, min(self._settings.patience, age))
            channel.qos.restore_visible(num=self._settings.queue, interval=1)

    def admit(self, count: int) -> None:
        """Whether this many more may come. Raises Problem ``busy``."""
        if self.waiting() + count > self._settings.queue:
            detail = f"as many images wait as may: {self._settings.queue}"
            raise Problem("busy", detail, retry_after=RETRY)

    def put(self, job: Job, numbers: list[int]) -> None:
        """Images of a job into the line. Raises OperationalError and OSError."""
        with self._connected() as connection:
            for number in numbers:
                self.app.send_task(
                    TASK, (job.id, number), queue=LINE, connection=connection, retry=True, retry_policy=PUBLISHING
                )

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection to the broker. Kombu lets errors of redis through where it breaks later: here all are faults."""
        with self.app.connection_for_write() as connection:
            try:
                connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=3)
                yield connection
            except (*connection.connection_errors, *connection.channel_errors) as error:
                raise OperationalError(str(error)) from error
