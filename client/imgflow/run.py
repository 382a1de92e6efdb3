"""One run, as a notebook holds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from imgflow import pictures, tables, view
from imgflow.answers import Answers
from imgflow.dataset import Columns, Dataset, Transform, beside
from imgflow.view import Report
from imgflow_steps.contract.options import SUFFIX
from imgflow_steps.records import keys
from imgflow_steps.store import NotFoundError, open_source
from imgflow_workflows.catalog import verdicts
from imgflow_workflows.catalog.ask import select
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.results.destination import check_destination
from imgflow_workflows.results.fetch import fetch
from imgflow_workflows.runs import state
from imgflow_workflows.submit.request import Submission, again
from imgflow_workflows.text import added_up

if TYPE_CHECKING:
    from pandas import DataFrame
    from PIL.Image import Image

    from imgflow.session import Session
    from imgflow_steps.contract.job import Counts
    from imgflow_steps.contract.options import Limits
    from imgflow_steps.store import Store
    from imgflow_workflows.results.diff import Comparison
    from imgflow_workflows.results.fetch import FetchSummary
    from imgflow_workflows.tuning import Proposal

T = TypeVar("T")


class Run:
    """A run of a flow. What it says of itself is as the store has it now; all its methods raise ImgflowError.

    ``where`` is a condition in SQL over the columns of the run's ``results`` and of the municipality's ``catalog``,
    such as ``"season = 'Summer' and found_sharpness > 2"``; where both have a column, write ``results.width``.
    """

    def __init__(self, session: Session, known: state.RunState) -> None:
        self._session, self._known = session, known
        self.id, self.municipality = known.run.id, known.run.municipality

    def __repr__(self) -> str:
        """How it stood when the store was last asked."""
        images = added_up(self._known.counts, ended=self._known.progress.summary is not None)
        return f"Run({self.id}, {self.municipality}, {self._known.status.value}: {images})"

    @property
    def status(self) -> str:
        """One of pending, running, suspended, succeeded, failed and interrupted."""
        return self._now().status.value

    @property
    def counts(self) -> Counts:
        """Images listed so far, and of these processed, cached, rejected and failed."""
        return self._now().counts

    def wait(self) -> Run:
        """Follow it until it ends. Ctrl-C, or Interrupt, ends only the following."""
        with self._session.asking():
            self._known = self._session.wait(self._now())
        return self

    def results(self, *, columns: Sequence[str] = (), where: str = "", limit: int = 0) -> DataFrame:
        """A row per picture, or per image that gave none, sorted by image, with the columns of ``results.csv``.

        ``columns`` is what SQL selects instead, such as ``["image", "season", "found_sharpness"]``. Only what is
        chosen comes into memory.
        """
        with self._session.asking():
            return tables.frame(verdicts.verdicts(self._store, self._ended().run, columns, where, limit))

    def query(self, sql: str) -> DataFrame:
        """The answer to one SELECT over ``results``, which are this run's, and its municipality's ``catalog``."""
        with self._session.asking():
            return tables.frame(select(self._store, sql, self.municipality, run=self._ended().run))

    def images(self, *, where: str = "", limit: int = 0, boxes: bool = False) -> Iterator[tuple[str, Image]]:
        """Names and pictures that it made, sorted by name; each is fetched when it is nearly its turn.

        A picture is named after its image, and ``a/x.jpg~r1c1`` where a step made several of it. ``boxes`` outlines
        what was found, in copies: what is covered stays covered.
        """
        run = self._ended().run
        asked: dict[str, tuple[str, str]] = {}

        def named() -> Iterator[tuple[str, str]]:
            for image, piece, key in verdicts.pictures(self._store, run, where, limit):
                name = f"{image}~{piece}" if piece else image
                asked[name] = image, piece
                yield name, key

        shown = pictures.read(self._store, named(), pictures.ANY)
        return ((name, self._outlined(picture, *asked.pop(name))) for name, picture in shown) if boxes else shown

    @overload
    def dataset(
        self, *, columns: Sequence[str] = (), where: str = "", limit: int = 0
    ) -> Dataset[tuple[Image, Columns]]: ...
    @overload
    def dataset(
        self, *, columns: Sequence[str] = (), where: str = "", limit: int = 0, transform: Transform[T]
    ) -> Dataset[T]: ...
    def dataset(
        self, *, columns: Sequence[str] = (), where: str = "", limit: int = 0, transform: Transform[Any] = beside
    ) -> Dataset[Any]:
        """Its pictures by number, sorted by name, for loaders of training data: ``DataLoader(run.dataset())``.

        Each is a picture and a dict of its columns, which are chosen as for ``results``, or what ``transform`` makes
        of these two.
        """
        with self._session.asking(), verdicts.made(self._store, self._ended().run, columns, where, limit) as rows:
            return Dataset(self._session, rows.read_all(), transform)

    def image(self, image: str, piece: str = "", *, boxes: bool = False) -> Image:
        """The picture that it made of an image, or one of several: ``run.image("a/x.jpg", "r1c1")``.

        ``boxes`` outlines what was found, in a copy.
        """
        run, listing = self._known.run, self._known.progress.listing
        digest = listing.digest if listing and listing.digest else run.digest
        form = run.pipeline.output.format
        if form == "none":
            raise ImgflowError(f"run {self.id} makes no pictures, only findings", "run.results() has them")
        key = keys.published(run.municipality, digest, image, piece, SUFFIX[form])
        of = f"{image}~{piece}" if piece else image
        picture = self._open_picture(self._store, key, pictures.ANY, f"run {self.id} made no picture of {of}")
        return self._outlined(picture, image, piece) if boxes else picture

    def _outlined(self, picture: Image, image: str, piece: str) -> Image:
        from imgflow_workflows.results.outlines import of_result  # noqa: PLC0415 - loads Pillow

        with self._session.asking():
            return of_result(self._store, self.id, image, piece, picture)

    def originals(self, *, where: str = "", limit: int = 0) -> Iterator[tuple[str, Image]]:
        """Names and photographs that it was made of, as ``images`` gives pictures; what is broken is left out."""
        run = self._ended().run
        store, prefix = self._source()
        named = ((image, prefix + image) for image in verdicts.images(self._store, run, where, limit))
        return pictures.read(store, named, run.pipeline.limits)

    def original(self, image: str) -> Image:
        """The photograph that it was made of, upright and in sRGB."""
        store, prefix = self._source()
        missing = f"there is no photograph {image!r} in {store.url.rstrip('/')}/{prefix}"
        return self._open_picture(store, prefix + image, self._known.run.pipeline.limits, missing)

    def report(self) -> Report:
        """Its report, or how far it is: a notebook shows it, ``save`` writes it."""
        with self._session.asking():
            return Report(self.id, state.read_report(self._store, self._now(), self._session.resolved.command))

    def fetch(self, directory: str | PathLike[str], *, where: str = "", overwrite: bool = False) -> FetchSummary:
        """Copy its pictures into a folder, each checked by its SHA-256, and ``RUN.csv``.

        As ``imgflow fetch`` does: what is there, the same, is not copied again. ``where`` chooses images, each with
        all of its pictures.
        """
        with self._session.asking(), self._session.line() as line:
            check_destination(Path(directory), "DIR")
            summary = fetch(
                self._store,
                self._ended().run,
                Path(directory),
                tell=lambda so_far: line.show(so_far.in_words(), so_far.copied + so_far.present, so_far.total),
                overwrite=overwrite,
                where=where,
            )
            line.show(summary.in_words(), last=True)
        return summary

    def retry(self, *, rejected: bool = False, repair: bool = False, take_over: bool = False) -> Run:
        """Go on with it: what failed or is missing is done again, and with ``rejected`` what was rejected, too.

        With ``repair`` also pictures are made again that are gone from the store or damaged there. With ``take_over``
        it goes on in place of whoever works on it, and is dead or gone.
        """
        with self._session.asking():
            wanted = Submission("", retry="rejected" if rejected else "", run=self.id, take_over=take_over)
            request = again(self._now().run, wanted, self._session.resolved.settings, self._store)
            self._known = self._session.start(replace(request, repair=repair))
        return self

    def logs(self, *, step: str = "", failed: bool = False) -> Iterator[str]:
        """Lines of the logs of its containers, of one step or only of those that failed; see ``imgflow logs``."""
        with self._session.asking():
            yield from self._session.engine(self._known.run).logs(self.id, step=step, failed=failed, follow=False)

    def tune(self) -> Answers[Proposal]:
        """Shard size, layout and resources for the next run, each with its reason; nothing is changed."""
        with self._session.asking():
            from imgflow_workflows import tuning  # noqa: PLC0415 - hera's units, which a look at results does not need

            figures = tuning.evidence(self._session.resolved.settings, self._store, self._now())
            return Answers(tuning.propose(figures))

    def diff(self, other: Run, *, worst: int = 24) -> Comparison:
        """How its pictures differ from those of another run, and the ``worst`` of them."""
        mine, theirs = self._ended().run, other._ended().run
        with self._session.asking():
            from imgflow_workflows.results.diff import compare  # noqa: PLC0415 - loads what looks at pictures

            return compare(self._store, theirs, mine, worst=worst, levels=0.0, tell=lambda *_: None)

    def stop(self) -> None:
        """End it early on a cluster; what is published stays. On this machine Ctrl-C, or Interrupt, does."""
        with self._session.asking():
            self._session.engine(self._known.run).stop(self.id)

    @property
    def _store(self) -> Store:
        return self._session.store

    def _now(self) -> state.RunState:
        with self._session.asking():
            self._known = self._session.run_state(self.id)
        return self._known

    def _ended(self) -> state.RunState:
        with self._session.asking():
            state.check_ended(self._store, known := self._now(), self._session.resolved.command)
        return known

    def _source(self) -> tuple[Store, str]:
        run = self._known.run
        with self._session.asking():
            return open_source(run.source) if run.source else self._store, run.prefix

    def _open_picture(self, store: Store, key: str, limits: Limits, missing: str) -> Image:
        with self._session.asking():
            try:
                return pictures.open_picture(store, key, limits)
            except NotFoundError:
                raise ImgflowError(missing, "run.results() says what became of each image") from None

    def _repr_html_(self) -> str:
        with self._session.asking():
            return view.run(self._store, self._now())
