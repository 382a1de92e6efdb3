"""What a coordinator on one machine hands out, and how it takes the answers: shared by local and docker."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from functools import lru_cache

from imgflow_steps.contract.job import FINAL, Exit, Job, Result
from imgflow_steps.contract.redaction import redacted
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records.run import Run
from imgflow_steps.store.kinds import fault
from imgflow_steps.worker.memory import sensible

LOG = logging.getLogger(__name__)
DEFAULT = os.cpu_count() or 1  # workers where nobody asks for a number: to start fewer then is no news
TRIES = 3  # of a job that the platform failed
PAUSE = 1.0  # seconds before the second try, doubled for each further one

Do = Callable[[Job, int], Result]  # a job and its attempt, counted from 0
Wait = Callable[[float], bool]  # seconds; true when there is no point in another try


def use(workers: int, *, images: int | None = None) -> int:
    """How many of the workers are started for a run: no more than are of use. It is logged when that is fewer."""
    most, why = sensible(workers)
    if images is not None and images < most:
        most, why = images, "one for each image that is to be processed"
    if workers > most and workers != DEFAULT:
        LOG.warning("%s of %s workers start: %s", f"{most:,}", f"{workers:,}", why)
    return max(1, most)


def jobs(run: Run, shard: int, layout: str) -> list[Job]:
    """What a shard goes through, in order: every step by itself, or all in one."""
    if layout == "fused":
        return [Job(step="fused", run=run.id, shard=shard)]
    return [
        Job(step=call.name, run=run.id, position=position, shard=shard)
        for position, call in enumerate(run.pipeline.steps, 1)
    ]


def tried(job: Job, do: Do, wait: Wait) -> Result:
    """The job's result, after up to three tries while the platform is at fault."""
    for attempt in range(TRIES):
        result = do(job, attempt)
        if result.exit in FINAL or attempt + 1 == TRIES or wait(PAUSE * 2**attempt):
            break
    return result


def chain(todo: Iterable[Job], do: Do, wait: Wait) -> Result:
    """One shard through all its jobs; gives the last result. What the platform failed stays without rows.

    Raises BadParametersError.
    """
    for job in todo:
        result = tried(job, do, wait)
        if result.exit == Exit.BAD_PARAMETERS:
            raise BadParametersError(result.error)
        if result.exit:
            _given_up(job.run, result.error)
            break
    return result


@lru_cache(maxsize=64)
def _given_up(run: str, error: str) -> None:
    """Say on the console why shards are given up, once for each cause."""
    LOG.warning("run %s: a shard is given up: %s", run, redacted(error))


def ended(result: Result) -> Result:
    """The result of list or collect, without which there is no run. Raises what it says went wrong."""
    if result.exit == Exit.BAD_PARAMETERS:
        raise BadParametersError(result.error)
    if result.exit not in FINAL:
        raise fault(result.kind, result.error)
    return result
