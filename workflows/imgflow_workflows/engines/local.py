"""The local engine: processes of this machine, a directory or S3 as the store."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import TYPE_CHECKING

from imgflow_steps.contract import BadParametersError, Job
from imgflow_steps.pool import Pool
from imgflow_steps.run import Phase, read_summary
from imgflow_steps.runner import run_job
from imgflow_workflows.engines.jobs import chain, ended, jobs, tried

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.contract import Result
    from imgflow_steps.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.engines.attempts import Attempt


class LocalEngine:
    """Runs a run to its end in this process and ``workers`` computing ones."""

    name = "local"
    detached = False

    def __init__(self, store: Store, *, workers: int) -> None:
        self._store, self._workers = store, workers

    def submit(self, run: Run) -> None:
        """List, compute and collect. Raises UnavailableError, BadParametersError; Ctrl-C loses nothing flushed."""
        listed = ended(tried(Job(step="list", run=run.id), self._do, _sleep))
        if listed.shards:
            self._shards(run, listed)
        ended(tried(Job(step="collect", run=run.id), self._do, _sleep))

    def _shards(self, run: Run, listed: Result) -> None:
        with (
            Pool(self._workers, run.pipeline.limits.memory) as pool,
            ThreadPoolExecutor(min(listed.shards, self._workers + 1)) as crew,
        ):
            do = partial(self._do, pool=pool)
            shards = [jobs(run, shard, listed.layout) for shard in range(listed.shards)]
            try:
                for done in as_completed([crew.submit(chain, todo, do, pool.stopping.wait) for todo in shards]):
                    done.result()
            except BaseException:
                pool.stop()
                crew.shutdown(cancel_futures=True)
                raise

    def _do(self, job: Job, _attempt: int, pool: Pool | None = None) -> Result:
        return run_job(job, self._store, pool=pool)

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

    def attempts(self, run: str, shard: int, *, lines: int) -> list[Attempt]:  # noqa: ARG002 - the interface's
        """A local run has no containers."""
        return []


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
