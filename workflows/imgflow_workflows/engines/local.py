"""The local engine: processes of this machine, a directory or S3 as the store."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING

from imgflow_steps.store import UnavailableError

from imgflow_steps.contract import BadParametersError, Exit, Job
from imgflow_steps.pool import Pool
from imgflow_steps.run import Phase, read_summary
from imgflow_steps.runner import run_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.store import Store

    from imgflow_steps.contract import Result
    from imgflow_steps.run import Run

TRIES = 3  # of a job that the platform failed
PAUSE = 1.0  # seconds before the second try, doubled for each further one


class LocalEngine:
    """Runs a run to its end in this process and ``workers`` computing ones."""

    name = "local"
    detached = False

    def __init__(self, store: Store, *, workers: int) -> None:
        self._store, self._workers = store, workers

    def submit(self, run: Run) -> None:
        """List, compute and collect. Raises UnavailableError, BadParametersError; Ctrl-C loses nothing flushed."""
        listed = _ended(self._job(Job(step="list", run=run.id)))
        if listed.shards:
            self._shards(run, listed)
        _ended(self._job(Job(step="collect", run=run.id)))

    def _shards(self, run: Run, listed: Result) -> None:
        with (
            Pool(self._workers, run.pipeline.limits.memory) as pool,
            ThreadPoolExecutor(min(listed.shards, self._workers + 1)) as crew,
        ):
            chains = [crew.submit(self._chain, run, shard, listed.layout, pool) for shard in range(listed.shards)]
            try:
                for chain in as_completed(chains):
                    chain.result()
            except BaseException:
                pool.stop()
                crew.shutdown(cancel_futures=True)
                raise

    def _chain(self, run: Run, shard: int, layout: str, pool: Pool) -> None:
        """One shard through all its jobs. What the platform failed stays without rows: collect names it."""
        names = [call.name for call in run.pipeline.steps]
        jobs = (
            [Job(step="fused", run=run.id, shard=shard)]
            if layout == "fused"
            else [Job(step=name, run=run.id, position=i, shard=shard) for i, name in enumerate(names, 1)]
        )
        for job in jobs:
            result = self._job(job, pool)
            if result.exit == Exit.BAD_PARAMETERS:
                raise BadParametersError(result.error)
            if result.exit:
                break

    def _job(self, job: Job, pool: Pool | None = None) -> Result:
        for attempt in range(TRIES):
            result = run_job(job, self._store, pool=pool)
            if result.exit != Exit.TEMPORARY:
                break
            if attempt + 1 < TRIES:
                time.sleep(PAUSE * 2**attempt)
        return result

    def phase(self, run: str) -> Phase | None:
        """Succeeded or failed once collected; before that only the process that runs it could say."""
        summary = read_summary(self._store, run)
        return summary.status if summary else None

    def stop(self, run: str) -> None:
        """A local run is stopped where it was started."""
        raise BadParametersError(f"run {run} is local: press Ctrl-C where it runs; `imgflow retry {run}` goes on")

    def delete(self, run: str) -> None:
        """The local engine keeps nothing of its own."""

    def logs(
        self,
        run: str,
        *,
        step: str = "",  # noqa: ARG002 - the interface's
        failed: bool = False,  # noqa: ARG002
        follow: bool = False,  # noqa: ARG002
    ) -> Iterator[str]:
        """A local run has no container logs; errors are in its rows."""
        raise BadParametersError(f"run {run} is local and has no container logs; `imgflow report {run}` has its errors")


def _ended(result: Result) -> Result:
    if result.exit == Exit.BAD_PARAMETERS:
        raise BadParametersError(result.error)
    if result.exit == Exit.TEMPORARY:
        raise UnavailableError(result.error)
    return result
