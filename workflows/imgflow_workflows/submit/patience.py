"""Steps are opened outside of a computing process, too, and never for ever there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

from imgflow_steps.contract.step import BadParametersError

if TYPE_CHECKING:
    from imgflow_steps.contract.options import Limits

T = TypeVar("T")

OPENING = "opening"  # name of the thread
LOOK = 0.1  # seconds between two looks at the time that an opening has taken


def patiently(work: Callable[[], T], limits: Limits) -> T:
    """What ``work`` gives, which opens steps, for no longer than a computing process may take to open them.

    A library does not let Ctrl-C through, so it works in a thread, which ends with this process at the latest.
    Raises as ``work``, and BadParametersError where it takes too long.
    """
    from imgflow_steps.worker.loop import OPENING as LEAST  # noqa: PLC0415 - numpy, which opened steps load anyway

    done: Future[T] = Future()
    threading.Thread(target=_settle, args=[done, work], name=OPENING, daemon=True).start()
    most, spent, began = max(LEAST, limits.seconds), time.process_time(), time.monotonic()
    while time.process_time() - spent <= most and time.monotonic() - began <= max(LEAST, limits.patience):
        if wait([done], LOOK).done:
            return done.result()
    raise BadParametersError(
        f"a step of the pipeline does not open: it took more than {most:g} seconds of processor time (limits.seconds, "
        "at least 30); does its model loop? Raise --set limits.seconds if it is only slow"
    )


def _settle(done: Future[T], work: Callable[[], T]) -> None:
    try:
        done.set_result(work())
    except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it again
        done.set_exception(error)
