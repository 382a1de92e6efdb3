"""What a coordinator on one machine hands out, and how it takes the answers: shared by local and docker."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from imgflow_steps.contract import BadParametersError, Exit, Job, Result
from imgflow_steps.run import Run
from imgflow_steps.store import UnavailableError

TRIES = 3  # of a job that the platform failed
PAUSE = 1.0  # seconds before the second try, doubled for each further one
VERDICTS = frozenset({Exit.DONE, Exit.IMAGES_FAILED, Exit.TOO_MANY_REJECTED, Exit.BAD_PARAMETERS})

Do = Callable[[Job, int], Result]  # a job and its attempt, counted from 0
Wait = Callable[[float], bool]  # seconds; true when there is no point in another try


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
        if result.exit in VERDICTS or attempt + 1 == TRIES or wait(PAUSE * 2**attempt):
            break
    return result


def chain(todo: Iterable[Job], do: Do, wait: Wait) -> None:
    """One shard through all its jobs. What the platform failed stays without rows: collect names it.

    Raises BadParametersError.
    """
    for job in todo:
        result = tried(job, do, wait)
        if result.exit == Exit.BAD_PARAMETERS:
            raise BadParametersError(result.error)
        if result.exit:
            break


def ended(result: Result) -> Result:
    """The result of list or collect, without which there is no run. Raises what it says went wrong."""
    if result.exit == Exit.BAD_PARAMETERS:
        raise BadParametersError(result.error)
    if result.exit not in VERDICTS:
        raise UnavailableError(result.error)
    return result
