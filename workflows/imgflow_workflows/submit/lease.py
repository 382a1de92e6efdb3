"""Keep a second coordinator out while one works on a run, and tell it who that is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from imgflow_steps.records import lease
from imgflow_steps.records.lease import Lease
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import ChangedError, StoreError, leftovers
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.standing import OPEN
from imgflow_workflows.text import duration

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.records.summary import Phase
    from imgflow_steps.store import Store, StoredObject
    from imgflow_workflows.engines import Engine

RACES = 5  # times that others may change a lease while it is judged


class Held:
    """A lease that is held; ``lost`` says to whom, once somebody has taken the run over."""

    def __init__(self, store: Store, mine: Lease, found: StoredObject) -> None:
        self._store, self._mine, self._found = store, mine, found
        self._over = threading.Event()
        self.lost = ""

    @contextmanager
    def renewed(self, abandon: Callable[[], None], *, kept: bool = False) -> Iterator[None]:
        """Renew it meanwhile, and give it back at the end; ``abandon`` is called when somebody has taken it.

        One that is ``kept`` is that of a Workflow by then, and given back only where none was started.
        """
        thread = threading.Thread(target=self._renew, args=[abandon], name="lease", daemon=True)
        thread.start()
        given = False
        try:
            yield
            given = kept
        finally:
            self._over.set()
            thread.join()
            if not given:
                self._release()

    def _release(self) -> None:
        """Give it back; where the store is away it expires by itself."""
        if not self.lost:
            with suppress(StoreError):
                lease.release(self._store, self._mine)

    def check(self, command: str) -> None:
        """Raises ImgflowError when somebody else has taken the run over."""
        if self.lost:
            raise ImgflowError(
                f"run {self._mine.run} was taken over by {self.lost}, so this process does no more of it",
                f"`{command} watch {self._mine.run}` follows it",
                ExitCode.FAILED,
            )

    def _renew(self, abandon: Callable[[], None]) -> None:
        while not self._over.wait(lease.RENEW):
            renewed = self._mine.model_copy(update={"renewed": self._mine.renewed + 1})
            try:
                self._found = lease.place(self._store, renewed, self._found.version)
                self._mine = renewed
            except ChangedError:
                self.lost = self._who()
                abandon()
                return
            except StoreError:
                continue  # if it stays away, the run itself will say so

    def _who(self) -> str:
        with suppress(StoreError):
            there = lease.read(self._store, self._mine.run)
            return there[0].holder if there else "somebody who deleted it"
        return "somebody"


def claim(
    store: Store,
    run: Run,
    engine: Engine,
    phase: Phase | None,
    *,
    take_over: bool,
    say: Callable[[str], None],
    command: str,
) -> Held | None:
    """The lease of a run for this process, or for the Workflow that it is going to start.

    ``phase`` is what a detached engine says of the run.

    None when the engine is at this run already. Raises ImgflowError, with who works on it, when somebody else is.
    """
    mine = lease.new(run.id, engine.name, engine.place)
    for _ in range(RACES):
        there = lease.read(store, run.id)
        if phase in OPEN and (there is None or _same_workflow(there[0], mine)):
            return None
        why = _free(store, *there, mine) if there else ""
        if there and not (why or take_over):
            raise _busy(store, *there, command)
        with suppress(ChangedError):
            found = lease.place(store, mine, there[1].version if there else "")
            if there:
                say(f"note: {why or f'run {run.id} is taken over from {there[0].holder}'}")
            return Held(store, mine, found)
    raise ImgflowError(f"others want run {run.id} at the same time", "give the command again", ExitCode.FAILED)


def check_idle(store: Store, run_id: str, command: str) -> None:
    """Raises ImgflowError while a process works on a run; a Workflow is ended by whoever deletes its run."""
    there = lease.read(store, run_id)
    if there and there[0].renews and not _free(store, *there, there[0]):
        raise _busy(store, *there, command)


def _same_workflow(other: Lease, mine: Lease) -> bool:
    known = {mine.place, ""}  # a pod that began a run by itself does not say where
    return not other.renews and other.engine == mine.engine and other.place in known


def _free(store: Store, other: Lease, found: StoredObject, mine: Lease) -> str:
    """Why a lease keeps nobody out any more; "" while it does."""
    if other.dead:
        return f"the process that worked on run {other.run} is dead, and this one resumes the run"
    if not other.renews and read_summary(store, other.run):
        return f"the Workflow of run {other.run} has ended"
    silent = lease.age(store, found)
    if other.renews and silent > lease.LASTS:
        return f"nothing was heard for {duration(silent)} of {other.holder}, who worked on run {other.run}"
    if _same_workflow(other, mine) and (silent > lease.LASTS or leftovers.dead(f"{other.mark}-")):
        return f"the Workflow of run {other.run} is gone"
    return ""


def _busy(store: Store, other: Lease, found: StoredObject, command: str) -> ImgflowError:
    # a lease that cannot be read says neither
    since = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(other.since)) if other.since else ""
    where = f" with engine {other.engine}" if other.engine else ""
    where += f" in {other.place}" if other.place else ""
    heard = f", heard of {duration(lease.age(store, found))} ago" if other.renews else ""
    return ImgflowError(
        f"{other.holder} works on run {other.run}{where}{since}{heard}",
        f"`{command} watch {other.run}` follows it; if that one is dead, `{command} retry {other.run} --take-over`"
        " resumes the run in its place",
        ExitCode.FAILED,
    )
