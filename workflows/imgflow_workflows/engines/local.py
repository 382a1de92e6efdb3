"""The local engine: processes of this machine, a directory or S3 as the store."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import TYPE_CHECKING

from imgflow_steps.contract.job import FINAL, Job
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.store import UnavailableError
from imgflow_steps.store.kinds import fault
from imgflow_steps.worker.pool import InterruptedRunError, Pool
from imgflow_steps.worker.reach import Reach
from imgflow_steps.worker.runner import run_job
from imgflow_workflows.engines.here import Here
from imgflow_workflows.engines.jobs import chain, ended, jobs, tried, use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.contract.job import Result
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.engines.attempts import ContainerLog


class LocalEngine(Here):
    """Runs a run to its end in this process and ``workers`` computing ones."""

    name = "local"
    detached = False
    place = ""

    def __init__(self, store: Store, *, workers: int) -> None:
        super().__init__(store)
        self._workers = workers
        self._abandoned = threading.Event()
        self._pool: Pool | None = None

    def submit(self, run: Run) -> None:
        """List, compute and collect. Raises UnavailableError, BadParametersError; Ctrl-C loses nothing flushed."""
        self._abandoned.clear()
        listed = ended(tried(Job(step="list", run=run.id), self._do, self._abandoned.wait))
        self._go_on()
        if listed.shards:
            self._shards(run, listed)
        self._go_on()
        ended(tried(Job(step="collect", run=run.id), self._do, self._abandoned.wait))

    def _shards(self, run: Run, listed: Result) -> None:
        workers = use(self._workers, images=listed.counts.open)
        reach = Reach.of(self._store.url, run.source).of_container(run.pipeline.container)
        with (
            Pool(workers, run.pipeline.limits.memory, reach) as pool,
            ThreadPoolExecutor(min(listed.shards, workers + 1)) as crew,
        ):
            self._pool = pool
            self._go_on()  # whoever abandons it from here on stops the pool
            do = partial(self._do, pool=pool)
            shards = [jobs(run, shard, listed.layout) for shard in range(listed.shards)]
            try:
                for done in as_completed([crew.submit(chain, todo, do, pool.stopping.wait) for todo in shards]):
                    self._check(run, done.result())
            except BaseException:
                pool.stop()
                crew.shutdown(cancel_futures=True)
                raise

    def _go_on(self) -> None:
        if self._abandoned.is_set():
            raise InterruptedRunError

    def _check(self, run: Run, result: Result) -> None:
        """A lost shard is told by collect. Raises UnavailableError when the store is away: others would wait for it."""
        if result.exit not in FINAL:
            try:
                self._store.stat(keys.run_json(run.id))
            except UnavailableError:
                raise fault(result.kind, result.error) from None

    def _do(self, job: Job, _attempt: int, pool: Pool | None = None) -> Result:
        return run_job(job, self._store, pool=pool)

    def abandon(self) -> None:
        """See ``Engine``."""
        self._abandoned.set()
        if self._pool:
            self._pool.stop()

    def stop(self, run: str) -> None:
        """A local run is stopped where it was started."""
        raise BadParametersError(f"run {run} is local: press Ctrl-C where it runs; `imgflow retry {run}` resumes it")

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

    def attempts(self, run: str, shard: int, *, lines: int) -> list[ContainerLog]:  # noqa: ARG002 - the interface's
        """A local run has no containers."""
        return []
