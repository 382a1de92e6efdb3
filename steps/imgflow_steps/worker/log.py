"""What containers say while they work: a line for each noteworthy event, on standard error.

Modules log through ``logging``, an event with its facts as ``extra=facts(…)``. The process decides how it looks:
JSON for programs, or text where a person watches. Both are ASCII, so that no name of an image begins a line of its own
or commands a terminal.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.redaction import redacted
from imgflow_steps.records.row import Status

if TYPE_CHECKING:
    from imgflow_steps.contract.job import Job
    from imgflow_steps.records.row import Row

FORM = "IMGFLOW_LOG"  # json or text; unset: text on a terminal
SLOW = 10_000.0  # milliseconds of one image in one container
MESSAGE = 500  # characters of an image's error; its row has all of it

_LOG = logging.getLogger(__name__)


def facts(**values: Any) -> dict[str, Any]:
    """What an event is about, for ``extra``; what is "" is left out."""
    return {"facts": {name: value for name, value in values.items() if value != ""}}


def set_up(environment: Mapping[str, str] = os.environ) -> Callable[[Job], None]:
    """Log to standard error from now on. Gives a function that names the job which all further lines are about."""
    form = environment.get(FORM, "") or ("text" if sys.stderr.isatty() else "json")
    formatter = _Text() if form == "text" else _Json()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("imgflow_steps").setLevel(logging.INFO)
    return formatter.about


def image(row: Row, before: Collection[str] = ()) -> None:
    """Say of an image that it was rejected, failed or slow here; ``before`` are parts of earlier containers' times."""
    ms = {part: round(took) for part, took in row.ms.items() if part not in before}
    if row.status in {Status.REJECTED, Status.FAILED}:
        told = facts(image=row.image, code=row.code, message=redacted(row.message)[:MESSAGE], ms=sum(ms.values()))
        _LOG.info(row.status.value, extra=told)
    elif sum(ms.values()) > SLOW:
        _LOG.info("slow", extra=facts(image=row.image, bytes=row.bytes, ms=sum(ms.values()), parts=ms))


class _Json(logging.Formatter):
    """One JSON object a line: time, level, event, the job, and the event's facts; of other libraries their message."""

    def __init__(self) -> None:
        super().__init__()
        self._job: dict[str, Any] = {}

    def about(self, job: Job) -> None:
        """Name the job."""
        self._job = {"run": job.run, "step": job.step, "position": job.position, "shard": job.shard}

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        return redacted(json.dumps(self.line(record), default=str))

    def line(self, record: logging.LogRecord) -> dict[str, Any]:
        """The line as data."""
        said = getattr(record, "facts", None)
        begin = {"time": round(record.created, 3), "level": record.levelname.lower()}
        if said is not None:
            return {**begin, "event": record.getMessage(), **self._job, **said}
        trace = {"trace": self.formatException(record.exc_info)} if record.exc_info else {}
        return {
            **begin,
            "event": "message",
            **self._job,
            "message": record.getMessage(),
            "logger": record.name,
            **trace,
        }


class _Text(_Json):
    """The same for people: the time of day, step and shard, the event, and its facts as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        line = self.line(record)
        clock = time.strftime("%H:%M:%S", time.localtime(line.pop("time")))
        head = [str(line.pop(name)) for name in ("step", "shard", "event") if name in line]
        rest = (
            f"{name}={json.dumps(value)}" for name, value in line.items() if name not in {"run", "position", "level"}
        )
        return redacted(" ".join([clock, *head, *rest]))
