"""Where runs run: a store and an engine, and what can be asked of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from imgflow import pictures, tables
from imgflow.answers import Answers, Plan, Preview
from imgflow.arguments import Pathlike, submission, taking
from imgflow.run import Run
from imgflow.session import LOG, Session, translated
from imgflow_steps.contract.options import Limits
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.list.survey import survey
from imgflow_steps.records import keys, selection
from imgflow_steps.records.admission import admission
from imgflow_steps.store import open_store
from imgflow_steps.store.leftovers import temporary
from imgflow_workflows.catalog.ask import select
from imgflow_workflows.catalog.choice import Choice, choose
from imgflow_workflows.connect import where as place
from imgflow_workflows.doctor.environment import checks
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.ingest.boxes import bring
from imgflow_workflows.ingest.sources import source_of
from imgflow_workflows.runs import state
from imgflow_workflows.runs.history import Record, records
from imgflow_workflows.runs.lookup import lookup
from imgflow_workflows.runs.story import Story, tell
from imgflow_workflows.settings import resolve
from imgflow_workflows.submit import pipeline_file
from imgflow_workflows.submit.request import Submission, begin, check_municipality
from imgflow_workflows.transfer import geojson
from imgflow_workflows.transfer.copying import IngestSummary, ingest
from imgflow_workflows.transfer.export import Exported
from imgflow_workflows.transfer.labelled import Form, Labelled

if TYPE_CHECKING:
    from pandas import DataFrame
    from PIL.Image import Image

    from imgflow_steps.store import Store
    from imgflow_workflows.doctor.checks import Check
    from imgflow_workflows.results.diff import Comparison
    from imgflow_workflows.transfer.copying import Source


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
    with translated():
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
        encoding: str = "",
        sheet: str = "",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        follow_links: bool = False,
        checksum: bool = False,
        hosts: Iterable[str] = (),
    ) -> IngestSummary:
        """Copy photographs into a municipality's dataset: a folder, a zip, a tar, or a CSV or Parquet table.

        As ``imgflow ingest`` does, where the columns are ``--id`` and ``--path``, and ``hosts`` is ``--allow-host``.
        """
        with self._session.asking():
            name = keys.decode(keys.encode(municipality))
            photographs = source_of(
                fspath(source),
                id_column,
                path_column,
                hosts=hosts,
                lenient=lenient,
                say=LOG.info,
                encoding=encoding,
                sheet=sheet,
                rules=admission(include, exclude),
                follow=follow_links,
                checksum=checksum,
            )
            return self._copy(photographs, self._session.store, name, checksum=checksum)

    def boxes(
        self,
        table: Pathlike | None,
        municipality: str,
        *,
        source: str = "",
        ahead: bool = False,
        encoding: str = "",
        sheet: str = "",
    ) -> int:
        """Give the boxes that redact covers besides what a model finds, in the place of earlier ones; how many.

        As ``imgflow boxes`` does, from a CSV, Excel or Parquet table; None removes those that are there.
        """
        with self._session.asking():
            name, store = keys.decode(keys.encode(municipality)), self._session.store
            if table is None:
                store.delete([keys.boxes(name)])
                return 0
            path = Path(table)
            head = bring(path, store, name, say=LOG.info, source=source, ahead=ahead, encoding=encoding, sheet=sheet)
            return head.boxes

    @taking(submission)
    def submit(self, submission: Submission) -> Run:
        """Run a municipality's photographs through a pipeline, as ``imgflow submit`` does.

        ``steps`` is short, such as ``"scale:512x512,blur:median"``, ``pipeline`` a file or what one would hold.
        ``parameters`` are those of ``--set``, such as ``{"scale.width": 512}``. On this machine the run is at its
        end when this returns; on a cluster it has begun, and ``wait`` follows it.
        """
        session = self._session
        with session.asking():
            return Run(session, session.start(begin(submission, session.resolved.settings, session.store)))

    @taking(submission)
    def plan(self, submission: Submission) -> Plan:
        """What ``submit`` with the same arguments would do, and how long it takes; nothing is written."""
        store = self._session.store
        with self._session.asking():
            planned = begin(submission, self._session.resolved.settings, store)
            with planned.selected(store) as selected:
                listing, prediction = survey(store, planned.run, selected.images if selected else None)
            return Plan(planned.run.municipality, planned.run.digest, listing, prediction)

    def try_(
        self, steps: str, photo: Pathlike, municipality: str = "", *, source: str = "", boxes: bool = False
    ) -> Preview:
        """Take one photograph through some steps, without a run: what came of it, before and after as one picture.

        With a ``municipality``, ``photo`` is an image of its dataset or of a ``source``, and redact covers the boxes
        that people gave for it as well. ``boxes`` outlines what models found, in the picture of after.
        """
        from imgflow_workflows.preview import attempt, of_municipality, sheet  # noqa: PLC0415 - loads Pillow

        path = Path(photo)
        with self._session.asking():
            try:
                if municipality:
                    name = path.as_posix()
                    data, given = of_municipality(self._session.store, municipality, name, source)
                else:
                    name, data, given = path.name, path.read_bytes(), None
                trial = attempt(data, pipeline_file.short(steps).openable(), name, given)
            except Rejected as verdict:
                message = f"{path} would be rejected: {verdict.code}: {verdict.message}"
                raise ImgflowError(message, "submit would reject it, too, and continue with the others") from None
            except OSError as error:
                raise ImgflowError(f"{path} cannot be read: {error.strerror}") from error
        last = trial.stages[-1]
        sizes = f"{trial.width} x {trial.height}", f"{last.width} x {last.height}"
        return Preview(trial, sheet(trial, *sizes, boxes=boxes))

    def why(self, image: str, municipality: str = "") -> Story:
        """One image's story over all runs, the newest first: how it ended in each, and whether it was computed anew.

        ``image`` is its key as listed, an ending of that, or the key of a result.
        """
        store = self._session.store
        with self._session.asking():
            known = [one for _, one in records(store) if isinstance(one, Record)]
            match = lookup(store, known, image, municipality)
            if match.count != 1:
                names = match.nearest if not match.count else [f"{whose}: {key}" for whose, key in match.images]
                found = f"{match.count} images have" if match.count else "no image has"
                hint = f"such as {', '.join(map(repr, names))}" if names else "flow.municipalities() lists all"
                raise ImgflowError(f"{found} the name or the ending {image!r} in {store.url}", hint)
            whose, name = match.images[0]
            return tell(store, whose, name, known)

    def diff(self, first: str, second: str, *, worst: int = 24) -> Comparison:
        """How the pictures of two runs differ, and the ``worst`` of them; see ``imgflow diff``."""
        store, command = self._session.store, self._session.resolved.command
        with self._session.asking():
            one, other = (state.read(store, state.find(store, name)) for name in (first, second))
            for known in (one, other):
                state.check_ended(store, known, command)
            from imgflow_workflows.results.diff import compare  # noqa: PLC0415 - loads what looks at pictures

            return compare(store, one.run, other.run, worst=worst, levels=0.0, tell=lambda *_: None)

    def doctor(self) -> Answers[Check]:
        """Whether this machine, or the cluster, has all that runs need; each check with what fixes it."""
        with self._session.asking():
            return Answers(checks(self._session.resolved))

    def run(self, name: str = state.LATEST, *, municipality: str = "") -> Run:
        """A run by its name; the newest one, of a municipality where that is given."""
        store = self._session.store
        with self._session.asking():
            return Run(self._session, state.read(store, state.find(store, name, municipality)))

    def runs(self, municipality: str = "") -> list[Run]:
        """All runs, newest first, of a municipality where that is given."""
        with self._session.asking():
            return [Run(self._session, one) for one in state.every(self._session.store, municipality)]

    def municipalities(self) -> list[str]:
        """Names of all municipalities with a dataset."""
        with self._session.asking():
            return state.municipalities(self._session.store)

    def query(self, sql: str, *, municipality: str = "") -> DataFrame:
        """The answer to one SELECT over the tables that ``imgflow query`` knows."""
        with self._session.asking():
            return tables.frame(select(self._session.store, sql, municipality))

    def export(
        self,
        destination: Pathlike,
        municipality: str,
        *,
        where: str = "",
        sample: int = 0,
        seed: int = 0,
        results: bool = False,
        form: Literal[Form, "geojson"] | None = None,
    ) -> IngestSummary:
        """Copy chosen images, or with ``results`` what the newest run made of them, and their rows.

        To a folder or bucket, as ``imgflow export`` does; ``form`` is what ``--as`` takes: ``geojson`` is one file.
        """
        session = self._session
        with session.asking():
            check_municipality(session.store, municipality)
            name = keys.decode(keys.encode(municipality))
            choice, target = Choice(where, sample, seed), open_store(fspath(destination))
            if form == "geojson":
                geojson.write(session.store, name, choice, target, results=results)
                made = target.stat(geojson.FILE)
                return IngestSummary(copied=1, bytes=made.bytes if made else 0)
            plain = Exported(session.store, choice, results)
            chosen = Labelled(session.store, choice, results, form) if form else plain
            return self._copy(chosen, target, name)

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
            with temporary() as folder:
                if choice:
                    choose(store, municipality, choice, path := Path(folder, "selection.jsonl"))
                    names = selection.read(path)
                else:
                    names = (found.key.removeprefix(prefix) for found in store.entries(prefix))
                for name in islice(filter(keys.is_image, names), limit or None):
                    yield name, prefix + name

        return pictures.read(store, named(), Limits())

    def _copy(self, source: Source, store: Store, name: str, *, checksum: bool = False) -> IngestSummary:
        started = time.monotonic()
        with self._session.line() as line:
            summary = ingest(
                source,
                store,
                name,
                tell=lambda so_far: line.show(so_far.in_words(time.monotonic() - started)),
                checksum=checksum,
            )
            line.show(summary.in_words(), last=True)
        return summary
