"""What a computing process opens once for a run: stores, threads, files that parameters name, steps."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps import keys
from imgflow_steps.contract import Apply, BadParametersError, Params, Row, file_fields
from imgflow_steps.pipeline import decode_plan
from imgflow_steps.run import Run
from imgflow_steps.store import Store, open_store

if TYPE_CHECKING:
    from imgflow_steps.pipeline import DecodePlan, StepCall

AHEAD = 12  # images fetched before their turn, and as many on their way to the store after it: at 20 ms for a
BEHIND = 12  # request the store then keeps up with a process that needs 2 ms for an image


@dataclass(slots=True)
class Desk:
    """What a process opens once for a run: stores, threads, files that parameters name, steps."""

    run: Run
    digest: str  # of the run; too costly to compute for every image
    store: Store
    source: Store
    prefix: str
    plan: DecodePlan
    threads: ThreadPoolExecutor
    files: Path  # the pool's own folder, so that processes share what one of them has fetched
    slowest: float = 0.0  # decode, in milliseconds: records get a thumbnail
    behind: list[Future[None]] = field(default_factory=list)  # thumbnails on their way
    chains: dict[tuple[int, int], list[tuple[str, Apply]]] = field(default_factory=dict)

    def chain(self, first: int, last: int) -> list[tuple[str, Apply]]:
        """The steps at these positions with their labels, opened once."""
        if (first, last) not in self.chains:
            calls = self.run.pipeline.steps[first - 1 : last]
            labels = self.run.pipeline.labels[first - 1 : last]
            self.chains[first, last] = [
                (label, self._build(label, call)) for label, call in zip(labels, calls, strict=True)
            ]
        return self.chains[first, last]

    def _build(self, label: str, call: StepCall) -> Apply:
        params = self.with_files(call.params)
        try:
            return call.step.build(params)
        except BadParametersError as error:
            text = str(error)
            for name in file_fields(params):  # the user knows the key, not this process's copy of it
                text = text.replace(getattr(params, name), getattr(call.params, name))
            raise BadParametersError(f"step {label}: {text}") from error

    def with_files(self, params: Params) -> Params:
        """The parameters with paths where they name files in the store."""
        paths: dict[str, str] = {}
        for name in file_fields(params):
            key = getattr(params, name)
            path = self.files / keys.local_name(key)
            if not path.exists():
                self.store.download(key, path)
            paths[name] = str(path)
        return params.model_copy(update=paths)

    def thumb(self, row: Row, side: str, data: bytes) -> str:
        """Write a small picture for reports, behind; gives its key."""
        key = keys.thumb(self.run.municipality, self.digest, row.image, row.version, side)
        self.behind.append(self.threads.submit(self.store.write, key, data, "image/jpeg"))
        return key

    def settle(self) -> None:
        """Wait for what is still on its way. Raises what went wrong with it."""
        for written in self.behind:
            written.result()


@lru_cache(maxsize=1)  # a process serves one run at a time, and what an earlier one opened goes
def open_desk(store_url: str, run: Run, folder: Path) -> Desk:
    """The desk of this process for a run, the same one every time; ``folder`` is for files that parameters name."""
    store = open_store(store_url)
    return Desk(
        run=run,
        digest=run.digest,
        store=store,
        source=open_store(run.source) if run.source else store,
        prefix=run.prefix,
        plan=decode_plan(run.pipeline),
        threads=ThreadPoolExecutor(AHEAD + BEHIND, thread_name_prefix="store"),
        files=folder,
    )
