"""Where runs run: a store and an engine, and what can be asked of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, Self

from imgflow import pictures, tables
from imgflow.run import Run
from imgflow.session import LOG, Session, told
from imgflow_steps import keys, selection
from imgflow_steps.pipeline import Limits
from imgflow_steps.store import open_store
from imgflow_workflows import documents, runs
from imgflow_workflows.catalog.ask import asked
from imgflow_workflows.catalog.choice import Choice, choose
from imgflow_workflows.catalog.export import Exported
from imgflow_workflows.ingest.copying import ingest
from imgflow_workflows.ingest.sources import source_of
from imgflow_workflows.opening import where as place
from imgflow_workflows.request import Asked, begin, check_municipality
from imgflow_workflows.settings import resolve
from imgflow_workflows.words import copied

if TYPE_CHECKING:
    from pandas import DataFrame
    from PIL.Image import Image

    from imgflow_steps.store import Store
    from imgflow_workflows.ingest.copying import IngestSummary, Source

Pathlike = str | PathLike[str]


def connect(
    *,
    context: str | None = None,
    engine: Literal["local", "docker", "argo"] | None = None,
    store: Pathlike | None = None,
    namespace: str | None = None,
    kube_context: str | None = None,
    workers: int | None = None,
    nodes: int | None = None,
    layout: Literal["auto", "steps", "fused"] | None = None,
    shard_size: int | None = None,
    progress: bool = True,
) -> Flow:
    """A store and an engine; what is not given is set as for the command line.

    That is: from an ``IMGFLOW_*`` variable, else from the context in use, the settings file, or the default.
    ``progress`` says whether long calls show how far they are. Raises ImgflowError.
    """
    flags = {
        "context": context,
        "engine": engine,
        "store": None if store is None else fspath(store),
        "namespace": namespace,
        "kube_context": kube_context,
        "workers": workers,
        "nodes": nodes,
        "layout": layout,
        "shard_size": shard_size,
    }
    with told():
        return Flow(Session(resolve(flags), show=progress))


class Flow:
    """What ``connect`` gives. Every method raises ImgflowError: what happened, and what to do next."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __repr__(self) -> str:
        """Which engine and store are in use."""
        return f"Flow({place(self._session.resolved)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the way to a store inside a cluster. Whoever forgets it, loses nothing."""
        self._session.close()

    def ingest(
        self,
        source: Pathlike,
        municipality: str,
        *,
        id_column: str = "",
        path_column: str = "",
        lenient: bool = False,
        hosts: Iterable[str] = (),
    ) -> IngestSummary:
        """Copy photographs into a municipality's dataset: a folder, a zip, a tar, or a CSV or Parquet table.

        As ``imgflow ingest`` does, where the columns are ``--id`` and ``--path``, and ``hosts`` is ``--allow-host``.
        """
        with self._session.asking():
            name = keys.decode(keys.encode(municipality))
            photographs = source_of(fspath(source), id_column, path_column, hosts=hosts, lenient=lenient, say=LOG.info)
            return self._copy(photographs, self._session.store, name)

    def submit(
        self,
        municipality: str,
        *,
        steps: str = "",
        pipeline: Pathlike | Mapping[str, Any] | Sequence[Any] | None = None,
        parameters: Mapping[str, object] | None = None,
        format: str = "",  # noqa: A002 - as the flag is called
        source: str = "",
        where: str = "",
        sample: int = 0,
        seed: int = 0,
        once: bool = False,
        max_rejected: str | int = "",
        retry: Literal["", "failed", "rejected"] = "",
        run: str = "",
    ) -> Run:
        """Run a municipality's photographs through a pipeline, as ``imgflow submit`` does.

        ``steps`` is short, such as ``"scale:512x512,blur:median"``, ``pipeline`` a file or what one would hold.
        ``parameters`` are those of ``--set``, such as ``{"scale.width": 512}``. On this machine the run is at its
        end when this returns; on a cluster it has begun, and ``wait`` follows it.
        """
        written = Path(pipeline) if isinstance(pipeline, str | PathLike) else pipeline and documents.given(pipeline)
        wanted = Asked(
            municipality,
            source,
            written or None,
            steps,
            format,
            [f"{name}={value}" for name, value in (parameters or {}).items()],
            str(max_rejected),
            retry,
            run,
            Choice(where, sample, seed),
            once,
        )
        session = self._session
        with session.asking():
            return Run(session, session.start(begin(wanted, session.resolved.settings, session.store)))

    def run(self, name: str = runs.LATEST, *, municipality: str = "") -> Run:
        """A run by its name; the newest one, of a municipality where that is given."""
        store = self._session.store
        with self._session.asking():
            return Run(self._session, runs.read(store, runs.find(store, name, municipality)))

    def runs(self, municipality: str = "") -> list[Run]:
        """All runs, newest first, of a municipality where that is given."""
        with self._session.asking():
            return [Run(self._session, one) for one in runs.every(self._session.store, municipality)]

    def municipalities(self) -> list[str]:
        """Names of all municipalities with a dataset."""
        with self._session.asking():
            return runs.municipalities(self._session.store)

    def query(self, sql: str, *, municipality: str = "") -> DataFrame:
        """The answer to one SELECT over ``catalog`` and ``results``, as ``imgflow query`` knows them."""
        with self._session.asking():
            return tables.frame(asked(self._session.store, sql, municipality))

    def export(
        self,
        destination: Pathlike,
        municipality: str,
        *,
        where: str = "",
        sample: int = 0,
        seed: int = 0,
        results: bool = False,
    ) -> IngestSummary:
        """Copy chosen images, or with ``results`` what the newest run made of them, and their rows.

        To a folder or bucket, as ``imgflow export`` does.
        """
        session = self._session
        with session.asking():
            check_municipality(session.store, municipality)
            name = keys.decode(keys.encode(municipality))
            chosen = Exported(session.store, Choice(where, sample, seed), results)
            return self._copy(chosen, open_store(fspath(destination)), name)

    def images(
        self, municipality: str, *, where: str = "", sample: int = 0, seed: int = 0, limit: int = 0
    ) -> Iterator[tuple[str, Image]]:
        """Names and photographs of a dataset, chosen as for ``submit``; each is fetched when it is nearly its turn.

        They are upright and in sRGB; what is broken is left out.
        """
        store, prefix, choice = self._session.store, keys.images(municipality), Choice(where, sample, seed)
        with self._session.asking():
            check_municipality(store, municipality)

        def named() -> Iterator[tuple[str, str]]:
            with TemporaryDirectory(prefix="imgflow-") as folder:
                if choice:
                    choose(store, municipality, choice, path := Path(folder, "selection.jsonl"))
                    names = selection.read(path)
                else:
                    names = (found.key.removeprefix(prefix) for found in store.entries(prefix))
                for name in islice(filter(keys.is_image, names), limit or None):
                    yield name, prefix + name

        return pictures.read(store, named(), Limits())

    def _copy(self, source: Source, store: Store, name: str) -> IngestSummary:
        started = time.monotonic()
        with self._session.line() as line:
            summary = ingest(
                source, store, name, tell=lambda so_far: line.show(copied(so_far, time.monotonic() - started))
            )
            line.show(copied(summary), last=True)
        return summary
