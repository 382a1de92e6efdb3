"""Results in the store, by the content they were made of and the digest of the pipeline: never an error, never late.

``cache/<digest>/<sha256[:2]>/<sha256>[~piece].<suffix>`` are pictures, and ``<sha256>.json`` beside them, written
last, says which there are: what is not whole is not there.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from imgflow_service.api import retention
from imgflow_service.api.made import Made, Piece
from imgflow_steps.contract.options import SUFFIX_OF_TYPE
from imgflow_steps.records import keys
from imgflow_steps.store import NotFoundError, StoreError
from imgflow_steps.worker.log import facts

if TYPE_CHECKING:
    from imgflow_service.api.telemetry import Telemetry
    from imgflow_steps.store import Store

THREADS = 8
BEHIND = 64 << 20  # bytes on their way to the store; what is more is not kept
PRUNE = 3600.0  # seconds between two looks at how much there is

_LOG = logging.getLogger("imgflow_service.api")


class Cache:
    """Reads before the work, writes behind the answer; a store that fails costs nothing but the hit."""

    def __init__(self, store: Store, telemetry: Telemetry) -> None:
        self._store, self._telemetry = store, telemetry
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="cache")
        self._writing: set[asyncio.Future[None]] = set()
        self._behind = 0
        self._ending = threading.Event()

    async def read(self, digest: str, sha256: str) -> Made | None:
        """What lies there, whole; None for anything else."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, _read, self._store, digest, sha256)
        except (StoreError, ValueError, KeyError, TypeError) as error:
            self._failed("read-failed", error)
            return None

    def write(self, digest: str, sha256: str, made: Made) -> None:
        """Keep a result, behind."""
        size = sum(len(piece.data) for piece in made.pieces)
        if self._behind + size > BEHIND:
            self._telemetry.cache("not-kept")
            return
        self._behind += size
        writing = asyncio.get_running_loop().run_in_executor(self._threads, _write, self._store, digest, sha256, made)
        self._writing.add(writing)
        writing.add_done_callback(lambda done: self._written(done, size))

    async def prune(self, days: float, most: int) -> None:
        """Keep it within these bounds, from now on until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            bounds = (days, most, time.time())
            try:
                pruned = await loop.run_in_executor(
                    self._threads, retention.prune, self._store, *bounds, self._ending.is_set
                )
            except StoreError as error:
                self._failed("prune-failed", error)
            else:
                if pruned.objects:
                    _LOG.info("pruned", extra=facts(cache=pruned.objects, bytes=pruned.bytes))
            await asyncio.sleep(PRUNE)

    async def settle(self) -> None:
        """Wait for what is on its way to the store; what is being pruned is left where it is."""
        self._ending.set()
        while self._writing:
            await asyncio.wait(self._writing)
        self._threads.shutdown(wait=False)

    def _written(self, writing: asyncio.Future[None], size: int) -> None:
        self._writing.discard(writing)
        self._behind -= size
        if not writing.cancelled() and (error := writing.exception()):
            self._failed("write-failed", error)

    def _failed(self, what: str, error: BaseException) -> None:
        self._telemetry.cache(what)
        _LOG.warning("cache", extra=facts(what=what, message=str(error)))


def _read(store: Store, digest: str, sha256: str) -> Made | None:
    try:
        index = json.loads(store.read(keys.cached(digest, sha256, "", "json")))
        pieces = tuple(_piece(store, digest, sha256, told) for told in index["pictures"])
    except NotFoundError:
        return None
    return Made(index["source"], pieces)


def _piece(store: Store, digest: str, sha256: str, told: dict[str, object]) -> Piece:
    piece = Piece(data=b"", **told)  # type: ignore[arg-type]  # what _write wrote; else TypeError
    if not piece.content_type:
        return piece
    data = store.read(keys.cached(digest, sha256, piece.piece, SUFFIX_OF_TYPE[piece.content_type]))
    if hashlib.sha256(data).hexdigest() != piece.sha256:
        raise ValueError(f"{sha256} of {digest} is not what it was when it was written")
    return Piece(data=data, **told)  # type: ignore[arg-type]  # as above


def _write(store: Store, digest: str, sha256: str, made: Made) -> None:
    told = []
    for one in made.pieces:
        if one.content_type:
            store.write(
                keys.cached(digest, sha256, one.piece, SUFFIX_OF_TYPE[one.content_type]), one.data, one.content_type
            )
        about = ("width", "height", "content_type", "sha256", "piece", "found")
        told.append({name: getattr(one, name) for name in about})
    index = json.dumps({"source": made.source, "pictures": told}).encode()
    store.write(keys.cached(digest, sha256, "", "json"), index, "application/json")
