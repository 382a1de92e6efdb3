"""What was asked for on the command line, as the ``run.json`` that is going to be written."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps import __version__
from imgflow_steps.collect import Collect
from imgflow_steps.contract.redaction import has_user, redacted
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import Pipeline
from imgflow_steps.pipeline.notation import nearest
from imgflow_steps.records import boxes, keys
from imgflow_steps.records.run import Run, load
from imgflow_steps.records.sections import column
from imgflow_steps.records.sharding import NO_STEPS
from imgflow_steps.store import expanded, open_source
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.worker.memory import sensible
from imgflow_workflows.catalog import sections
from imgflow_workflows.catalog.choice import ALL, Choice, choose
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.runs.state import municipalities, readable
from imgflow_workflows.submit import changes, openable, pipeline_file
from imgflow_workflows.submit.deduplicate import Selected, once
from imgflow_workflows.submit.default import DEFAULT
from imgflow_workflows.submit.named_files import copy, from_here, from_store
from imgflow_workflows.submit.presence import check_images

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_workflows.settings import Settings


@dataclass(frozen=True, slots=True)
class Submission:
    """The flags of submit and plan that say what to do; "" and () where nothing was asked."""

    municipality: str
    source: str = ""
    pipeline: Path | pipeline_file.Written | None = None
    steps: str = ""  # in short, or @FILE
    format: str = ""
    changes: Sequence[str] = ()  # of --set
    max_rejected: str = ""
    retry: str = ""
    run: str = ""
    choice: Choice = ALL
    once: bool = False  # without near-duplicates
    take_over: bool = False  # from whoever works on the run
    include: Sequence[str] = ()  # patterns of what is listed
    exclude: Sequence[str] = ()
    follow: bool = False  # links that lead out of a source, too
    checksum: bool = False  # files of a directory are known again by their content
    cuts: Sequence[str] = ()  # flags that say how it is cut into shards; what they say is in the settings


@dataclass(frozen=True, slots=True)
class Request:
    """A run, and the files of this machine that it needs in the store, by key."""

    run: Run
    files: dict[str, Path]
    choice: Choice = ALL
    once: bool = False
    take_over: bool = False
    repair: bool = False  # pictures that are gone or damaged, as soon as nobody else works on the run
    own: Mapping[str, str] = field(default_factory=dict)  # names of files of the store, by keys that say what they hold
    resumed: bool = False  # with what an earlier attempt has brought into the store

    def upload(self, store: Store) -> Run:
        """Bring the files into the store, those that are not there yet, and the images that were chosen now.

        Gives the run that is to be written.
        """
        left_out = self.run.left_out
        with self.selected(store) as selected:
            if selected:
                store.upload(selected.images, self.run.selection, "application/jsonl")
                left_out = selected.duplicates
            if selected and selected.left_out:
                store.upload(selected.left_out, keys.left_out(self.run.id), "text/csv; charset=utf-8")
        if not self.resumed:
            sections.upload(store, self.run)
        for key, path in self.files.items():
            if store.stat(key) is None:
                store.upload(path, key)
        for key, name in self.own.items():
            if store.stat(key) is None:
                copy(store, name, key)
        return self.run.model_copy(update={"left_out": left_out})

    @contextmanager
    def selected(self, store: Store) -> Iterator[Selected | None]:
        """The images that are chosen now; None where it is all of them, or those of an earlier attempt."""
        if not (self.choice or self.once):
            yield None
            return
        with temporary() as folder:
            chosen = Path(folder, "selection.jsonl") if self.choice else None
            if chosen:
                choose(store, self.run.municipality, self.choice, chosen)
            yield once(store, self.run, chosen, Path(folder)) if self.once or not chosen else Selected(chosen)


def begin(submission: Submission, settings: Settings, store: Store) -> Request:
    """The run that was asked for: a new one, or the one of that name once more. Raises as ``build`` and ``again``."""
    if submission.run and store.stat(keys.run_json(keys.check_run(submission.run))):
        with readable(store, submission.run):
            known = load(store, submission.run)
        return again(known, submission, settings, store)
    return build(submission, settings, store)


def build(
    submission: Submission, settings: Settings, store: Store, *, later: bool = False, scheduled: bool = False
) -> Request:
    """The run that was asked for, if the store holds what it needs. Raises as ``describe``; writes nothing.

    A run that begins ``later`` may find its images then, and so may a ``scheduled`` one, which reads no catalog now.
    """
    if not submission.municipality:
        raise ImgflowError("which municipality? give --municipality NAME", "`imgflow ls municipalities` lists them")
    if not submission.source:
        check_municipality(store, submission.municipality)
    elif submission.choice:
        raise ImgflowError(
            "--where and --sample choose of a municipality's dataset, not of a --source", "ingest it first"
        )
    request = describe(submission, settings)
    if scheduled and column(request.run.collect.sections):
        raise ImgflowError(
            "collect.sections: a column of the catalog is read now, and --cron runs later", "choose folder or none"
        )
    sections.check(store, request.run)
    pipeline, own = from_store(request.run.pipeline, store, request.files)
    request = replace(request, run=request.run.model_copy(update={"pipeline": pipeline}), own=own)
    if not (later or scheduled or submission.choice):
        check_images(store, request.run)
    name = request.run.municipality
    if request.run.pipeline.hides_unfound and store.stat(keys.boxes(name)) is None:
        raise ImgflowError(boxes.nobody(name))
    return request


def describe(submission: Submission, settings: Settings) -> Request:
    """The run that was asked for, without a look into any store. Raises ImgflowError or BadParametersError."""
    municipality = keys.decode(keys.encode(submission.municipality))
    pipeline, folder = _pipeline(submission)
    listing = List(shard_size=settings.shard_size, nodes=settings.nodes, layout=settings.layout)
    wishes = [*_flags(submission), *map(changes.of_set, submission.changes)]
    pipeline, listing, collect = changes.made(pipeline, listing, Collect(), wishes)
    if pipeline.hides and listing.layout == "steps":
        raise ImgflowError(NO_STEPS)
    pipeline, files = from_here(pipeline, folder)
    openable.check(pipeline, files, in_containers=settings.engine != "local")
    run_id = keys.check_run(submission.run) if submission.run else new_id(municipality)
    run = Run(
        id=run_id,
        municipality=municipality,
        pipeline=pipeline,
        source=_source(submission.source, settings) if submission.source else "",
        selection=keys.selection(run_id) if submission.choice or submission.once else "",
        list=listing,
        collect=collect,
        created=time.time(),
        engine=settings.engine,
        namespace=_namespace(settings),
        workers=_workers(settings),
        version=__version__,
    )
    return Request(run, files, submission.choice, submission.once, submission.take_over)


def _flags(submission: Submission) -> list[changes.Change]:
    """The parameters that flags of their own set."""
    told = [
        changes.Change("list.retry", submission.retry, "--retry"),
        changes.Change("collect.max_rejected", submission.max_rejected, "--max-rejected"),
        changes.Change("output.format", submission.format, "--format"),
        changes.Change("list.include", ",".join(submission.include), "--include"),
        changes.Change("list.exclude", ",".join(submission.exclude), "--exclude"),
        changes.Change("list.links", "all" if submission.follow else "", "--follow-links"),
        changes.Change("list.known_by", "content" if submission.checksum else "", "--checksum"),
    ]
    return [one for one in told if one.value]


def again(known: Run, submission: Submission, settings: Settings, store: Store) -> Request:
    """The same run once more: as it was, or as asked when that gives the same results. Raises ImgflowError."""
    if not submission.municipality:
        if submission != Submission("", run=submission.run, retry=submission.retry, take_over=submission.take_over):
            raise ImgflowError(
                f"run {known.id} resumes with its original options",
                "pass --municipality to submit it again with new ones",
            )
        listing = known.list.model_copy(update={"retry": submission.retry} if submission.retry else {})
        where = {"engine": settings.engine, "namespace": _namespace(settings), "workers": _workers(settings)}
        update = {"created": time.time(), "list": listing, **where, "version": __version__}
        resumed = Request(known.model_copy(update=update), {}, take_over=submission.take_over, resumed=True)
        if not known.selection:
            check_images(store, resumed.run)
        return resumed
    request = build(submission, settings, store, later=True)
    _check_same(known, request.run)
    if not submission.choice:
        check_images(store, request.run)
    return request


def check_same(store: Store, run: Run) -> None:
    """Raises ImgflowError when a run of this name is there by now that gives other results; two may have asked."""
    if store.stat(keys.run_json(run.id)):
        with readable(store, run.id):
            _check_same(load(store, run.id), run)


def _check_same(known: Run, run: Run) -> None:
    if (run.municipality, run.digest) != (known.municipality, known.digest):
        raise ImgflowError(
            f"run {known.id} is there already, of {known.municipality} with another pipeline, source or municipality",
            f"choose another --run, or resume it with `imgflow retry {known.id}`",
        )


def _workers(settings: Settings) -> int:
    return 0 if settings.engine == "argo" else sensible(settings.workers)[0]


def _namespace(settings: Settings) -> str:
    return settings.namespace if settings.engine == "argo" else ""


def new_id(municipality: str) -> str:
    """A run id that people can read, sort and tell apart."""
    name = keys.slug(municipality)[:24].strip("-")
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def check_municipality(store: Store, municipality: str) -> None:
    """Raises ImgflowError, naming those that are there, when a municipality has no dataset."""
    known = municipalities(store)
    name = keys.decode(keys.encode(municipality))
    if name in known:
        return
    shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")  # noqa: PLR2004
    there = f"there are: {shown}" if known else "there is none yet"
    ways = "`imgflow ingest DIR --municipality NAME` copies photographs in; `--source DIR` reads them where they are"
    close = nearest(name, known)
    raise ImgflowError(
        f"there is no municipality {name!r} in {store.url}; {there}", f"{close}\n{ways}" if close else ways
    )


def _source(source: str, settings: Settings) -> str:
    """A source as the URL under which every process finds it."""
    if "://" not in source or source.startswith("file://"):
        if settings.engine == "argo":
            raise ImgflowError(f"pods cannot see the directory {source}", "bring it in with `imgflow ingest` first")
        if has_user(source):
            raise ImgflowError(
                f"--source {redacted(source)} is not a directory here", "write file:///dir, or the directory"
            )
        path = expanded(source.removeprefix("file://"))
        if not path.is_dir():
            what = "it is a file; give its folder" if path.exists() else "there is no such directory"
            raise ImgflowError(f"--source {source}: {what}")
        if not _is_unicode(str(path.resolve())):
            raise ImgflowError(
                f"--source {source}: its path is not UTF-8, and no document of a run can hold it", "rename it"
            )
        return open_source(str(path.resolve())).url
    return open_source(source).url


def _is_unicode(path: str) -> bool:
    """Whether a path is text; one that is not has lone surrogates for its other bytes."""
    return not any("\ud800" <= c <= "\udfff" for c in path)


def _pipeline(submission: Submission) -> tuple[Pipeline, Path]:
    """What was asked for before anything of it is changed, and the folder of the file that it was read from."""
    if submission.pipeline and submission.steps:
        raise ImgflowError("--pipeline and --steps exclude each other: both name the steps", "give one of them")
    if isinstance(submission.pipeline, pipeline_file.Written):
        written = submission.pipeline
    elif submission.pipeline:
        written = pipeline_file.read(submission.pipeline)
    elif submission.steps:
        written = pipeline_file.short(submission.steps)
    else:
        return DEFAULT, Path()
    return written.pipeline(), written.folder
