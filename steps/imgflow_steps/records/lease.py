"""Who works on a run: one coordinator at a time, on any machine and any engine, by a document in the store.

Clocks of machines may differ, so a lease is as old as the store's own clock says, and only times of one clock are
compared. A coordinator on a machine renews its lease; one on a cluster does not, and Argo knows whether it is there.
"""

from __future__ import annotations

import getpass
import platform
import time
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from imgflow_steps.records import keys
from imgflow_steps.store import ChangedError, NotFoundError, UnavailableError, leftovers

if TYPE_CHECKING:
    from imgflow_steps.store import Store, StoredObject

RENEW = 15.0  # seconds between two renewals
READS = 10  # of a lease that is renewed each time before it is read
LASTS = 60.0  # seconds after the last one until others may take the run over


class Lease(BaseModel):
    """``lease.json``: whose run this is just now."""

    run: str
    engine: str
    holder: str  # a person on a machine, as others know it
    place: str = ""  # where the engine is, such as a namespace
    mark: str = ""  # of the process, for others on its machine
    since: float = 0.0  # by the holder's clock, for people
    token: str = ""  # nobody else's
    renewed: int = 0  # times

    @property
    def renews(self) -> bool:
        """Whether its holder is a process that renews it. A Workflow does not."""
        return self.engine != "argo"

    @property
    def dead(self) -> bool:
        """Whether the holder was a process of this machine, and is gone."""
        return self.renews and leftovers.dead(f"{self.mark}-")


def new(run: str, engine: str, place: str = "") -> Lease:
    """A lease of this process."""
    return Lease(
        run=run,
        engine=engine,
        holder=f"{_user()}@{platform.node()}",
        place=place,
        mark=leftovers.mark(),
        since=time.time(),
        token=token_hex(8),
    )


def place(store: Store, lease: Lease, instead: str = "") -> StoredObject:
    """Put a lease into the store where none is, or ``instead`` of that version. Raises ChangedError, StoreError."""
    return store.replace(keys.lease(lease.run), lease.model_dump_json(indent=1).encode(), instead)


def read(store: Store, run: str) -> tuple[Lease, StoredObject] | None:
    """The lease of a run, and where it lies; None where nobody has one.

    Raises UnavailableError where a store never gives what it lists.
    """
    for _ in range(READS):  # it may be renewed in between
        found = store.stat(keys.lease(run))
        if found is None:
            return None
        with suppress(ChangedError, NotFoundError):
            text = store.read(found.key, found.version)
            try:
                return Lease.model_validate_json(text), found
            except ValidationError:  # of another imgflow: as long as it is renewed, somebody is there
                return Lease(run=run, engine="", holder="another version of imgflow"), found
    raise UnavailableError(
        f"{store.url} lists {keys.lease(run)} and gives another one, {READS} times; see whether a proxy is before it"
    )


def age(store: Store, found: StoredObject) -> float:
    """Seconds since a lease was placed or renewed, by the store's clock."""
    key = f"{found.key}.{token_hex(4)}"
    store.write(key, b"")
    try:
        now = store.stat(key)
        return now.placed - found.placed if now else 0.0
    finally:
        store.delete([key])


def release(store: Store, lease: Lease) -> None:
    """Give a lease back, unless it is somebody else's by now."""
    there = read(store, lease.run)
    if there and there[0].token == lease.token:
        store.delete([keys.lease(lease.run)])


def ended(store: Store, run: str, engine: str) -> None:
    """Called by collect, when all is written: nobody works on a cluster's run any more."""
    if engine == "argo":
        store.delete([keys.lease(run)])


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no entry for this number
        return "somebody"
