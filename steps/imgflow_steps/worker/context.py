"""What a computing process opens once for a run: stores, threads, files that parameters name, steps."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

from imgflow_steps.contract.step import Params, file_fields
from imgflow_steps.pipeline.apply import OpenPipeline
from imgflow_steps.records import keys
from imgflow_steps.records.row import Row
from imgflow_steps.records.run import Run
from imgflow_steps.store import OF_ONE, Store, names, open_source, open_store

AHEAD = 12  # images fetched before their turn, and as many on their way to the store after it: at 20 ms for a
BEHIND = 12  # request the store then keeps up with a process that needs 2 ms for an image
Opening = Callable[[], AbstractContextManager[None]]


@dataclass(slots=True)
class WorkerContext:
    """What a process opens once for a run: stores, threads, files that parameters name, steps."""

    run: Run
    digest: str  # of the run; too costly to compute for every image
    store: Store
    source: Store
    prefix: str
    threads: ThreadPoolExecutor
    files: Path  # the pool's own folder, so that processes share what one of them has fetched
    slowest: float = 0.0  # decode, in milliseconds: records get a thumbnail
    behind: list[tuple[Row, str, Future[None]]] = field(default_factory=list)  # thumbnails on their way, by key
    pipelines: dict[tuple[int, int], OpenPipeline] = field(default_factory=dict)

    def opened(self, first: int, last: int, opening: Opening) -> OpenPipeline:
        """The steps at these positions, opened once; ``opening`` is entered while one opens."""
        if (first, last) not in self.pipelines:
            self.pipelines[first, last] = OpenPipeline(
                self.run.pipeline, first, last, local=self.with_files, opening=opening, marked=True
            )
        return self.pipelines[first, last]

    def with_files(self, params: Params) -> Params:
        """The parameters with paths where they name files in the store."""
        paths: dict[str, str] = {}
        for name in file_fields(params):
            key = getattr(params, name)
            path = self.files / names.local_name(key)
            if not path.exists():
                self.store.download(key, path)
            paths[name] = str(path)
        return params.model_copy(update=paths)

    def thumb(self, row: Row, side: str, data: bytes) -> str:
        """Write a small picture for reports, behind; gives its key."""
        key = keys.thumb(self.run.municipality, self.digest, row.image, row.version, side)
        self.behind.append((row, key, self.threads.submit(self.store.write, key, data, "image/jpeg")))
        return key

    def settle(self) -> None:
        """Wait for what is still on its way; what the store does not take is missing. Raises UnavailableError."""
        for row, key, written in self.behind:
            try:
                written.result()
            except OF_ONE:
                row.thumbs = list(takewhile(lambda thumb: thumb != key, row.thumbs))  # noqa: B023 - called at once


@lru_cache(maxsize=1)  # a process serves one run at a time, and what an earlier one opened goes
def open_context(store_url: str, run: Run, folder: Path) -> WorkerContext:
    """The context of this process for a run, the same one every time; ``folder`` is for files that parameters name."""
    store = open_store(store_url)
    return WorkerContext(
        run=run,
        digest=run.digest,
        store=store,
        source=open_source(run.source) if run.source else store,
        prefix=run.prefix,
        threads=ThreadPoolExecutor(AHEAD + BEHIND, thread_name_prefix="store"),
        files=folder,
    )
