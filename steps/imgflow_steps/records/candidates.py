"""What lies where a run's images are, and which of it they are; the rest is counted under a word each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.admission import BARE, HEAD, IGNORE_FILE, Admission, admission, begins_like_image, count
from imgflow_steps.store import (
    OF_ONE,
    NotFoundError,
    StoredObject,
    inside,
    open_source,
)
from imgflow_steps.store.ranges import known_by_content
from imgflow_steps.store.walk import UNREADABLE, Watch

if TYPE_CHECKING:
    from imgflow_steps.list import List
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

READS = 16  # files whose first bytes are read at the same time
AHEAD = 200  # files that wait for one of these
NAMED = 10  # of what cannot be read


@dataclass(slots=True)
class Candidates:
    """A source, or a municipality's dataset. Made by ``candidates``; both streams are in the order of their keys."""

    store: Store  # where they lie
    prefix: str
    rules: Admission
    watch: Watch | None = None  # of a folder that is somebody's own
    by_content: bool = False  # the version of a file in a directory is made of its content
    own: str | None = None  # what keys of the run's own store begin with, where that lies inside
    left_out: dict[str, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)  # the first ones
    seen: int = 0  # objects that were asked about

    def found(self) -> Iterator[StoredObject]:
        """Everything but what belongs to the run's own store: results are no images."""
        found = found_in(self.store, self.prefix, self.watch)
        return (one for one in found if self.own is None or not one.key.startswith(self.own))

    def images(self, found: Iterable[StoredObject] | None = None) -> Iterator[tuple[str, StoredObject]]:
        """Those of ``found``, or of all, that are images, by their names below the prefix.

        Of what has no suffix the first bytes are read, and where content decides all of it, several at the same time.
        """
        waiting: deque[tuple[str, StoredObject, Future[StoredObject | None] | None]] = deque()
        with ThreadPoolExecutor(READS) as pool:
            for one in self.found() if found is None else found:
                self.seen += 1
                name = one.key.removeprefix(self.prefix)
                if why := self.rules.why_not(name):
                    count(self.left_out, why)
                    continue
                reads = keys.is_bare(name) or self.by_content
                waiting.append((name, one, pool.submit(self._read, name, one) if reads else None))
                while waiting and (len(waiting) > AHEAD or _is_read(waiting[0][2])):
                    yield from self._settled(*waiting.popleft())
            while waiting:
                yield from self._settled(*waiting.popleft())

    def tell(self, key: str, why: str) -> None:
        """Count what is not even a file, unless it belongs to the run's own store or is left out by a rule anyway."""
        if self.own is not None and key.startswith(self.own):
            return
        name = key.rstrip("/").removeprefix(self.prefix)
        why = (
            Admission(ignore=self.rules.ignore).forbids(name) or why
        )  # of a folder no pattern of include is known to fit
        count(self.left_out, why)
        if why == UNREADABLE and len(self.unreadable) < NAMED:
            self.unreadable.append(name)

    def _settled(
        self, name: str, one: StoredObject, read: Future[StoredObject | None] | None
    ) -> Iterator[tuple[str, StoredObject]]:
        found = read.result() if read else one
        if found:
            yield name, found
        else:
            count(self.left_out, BARE)

    def _read(self, name: str, one: StoredObject) -> StoredObject | None:
        """The object with the version that its content says; None where it has no suffix and is no image."""
        if keys.is_bare(name) and not self._begins(one):
            return None
        try:
            return known_by_content(self.store, one) if self.by_content else one
        except OF_ONE:
            return one  # a run says of it what is wrong

    def _begins(self, one: StoredObject) -> bool:
        """Whether it begins like an image. What cannot be read may be one: a run says of it what is wrong."""
        if not one.bytes:
            return False
        try:
            return begins_like_image(self.store.read_range(one.key, 0, min(HEAD, one.bytes)))
        except NotFoundError:
            return False
        except OF_ONE:
            return True


def candidates(store: Store, run: Run) -> Candidates:
    """What may be a run's images.

    Raises BadParametersError where its source is the store itself, StoreError where it cannot be asked.
    """
    rules, by_content = admission_of(run.list), run.list.known_by == "content"
    if not run.source:
        return Candidates(store, run.prefix, with_ignore_file(rules, store, run.prefix), by_content=by_content)
    opened = open_source(run.source)
    own = inside(store, opened)
    if own == "":
        raise BadParametersError(
            f"the source {run.source} is the store itself, with all results; leave --source out, or name a folder in it"
        )
    made = Candidates(opened, "", with_ignore_file(rules, opened, ""), by_content=by_content, own=own)
    made.watch = Watch(made.tell, follow=run.list.links == "all")
    return made


def admission_of(params: List) -> Admission:
    """The rules that the parameters of list say, separated by commas."""
    return admission(*(filter(None, text.split(",")) for text in (params.include, params.exclude)))


def with_ignore_file(rules: Admission, store: Store, prefix: str) -> Admission:
    """The same with those of the ignore file of a source, where it has one."""
    try:
        return rules.with_file(store.read(prefix + IGNORE_FILE).decode("utf-8-sig", "replace"))
    except NotFoundError:
        return rules


def found_in(store: Store, prefix: str, watch: Watch | None) -> Iterator[StoredObject]:
    """All objects; with ``watch`` in a directory as ``Directory.found`` gives them, and a bucket has no links."""
    if watch and not store.url.startswith("s3://"):
        from imgflow_steps.store.directory import Directory  # noqa: PLC0415 - not where everything lies in a bucket

        if isinstance(store, Directory):
            return store.found(watch)
    return store.entries(prefix)


def _is_read(read: Future[StoredObject | None] | None) -> bool:
    return read is None or read.done()
