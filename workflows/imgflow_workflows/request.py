"""What was asked for on the command line, as the ``run.json`` that is going to be written."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from imgflow_steps import __version__, keys
from imgflow_steps.collect import Collect
from imgflow_steps.contract import file_fields
from imgflow_steps.list import List
from imgflow_steps.pipeline import Pipeline, explain
from imgflow_steps.run import Run, load
from imgflow_steps.spelling import nearest
from imgflow_steps.store import open_store
from imgflow_workflows import documents
from imgflow_workflows.catalog.choice import ALL, Choice, choose
from imgflow_workflows.default import DEFAULT
from imgflow_workflows.faults import ImgflowError
from imgflow_workflows.once import Selected, once
from imgflow_workflows.runs import municipalities, readable

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_workflows.settings import Settings

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Asked:
    """The flags of submit and plan that say what to do; "" and () where nothing was asked."""

    municipality: str
    source: str = ""
    pipeline: Path | documents.Written | None = None
    steps: str = ""  # in short, or @FILE
    format: str = ""
    changes: Sequence[str] = ()  # of --set
    max_rejected: str = ""
    retry: str = ""
    run: str = ""
    choice: Choice = ALL
    once: bool = False  # without near-duplicates


@dataclass(frozen=True, slots=True)
class Request:
    """A run, and the files of this machine that it needs in the store, by key."""

    run: Run
    files: dict[str, Path]
    choice: Choice = ALL
    once: bool = False

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
        for key, path in self.files.items():
            if store.stat(key) is None:
                store.upload(path, key)
        return self.run.model_copy(update={"left_out": left_out})

    @contextmanager
    def selected(self, store: Store) -> Iterator[Selected | None]:
        """The images that are chosen now; None where it is all of them, or those of an earlier attempt."""
        if not (self.choice or self.once):
            yield None
            return
        with TemporaryDirectory(prefix="imgflow-") as folder:
            chosen = Path(folder, "selection.jsonl") if self.choice else None
            if chosen:
                choose(store, self.run.municipality, self.choice, chosen)
            yield once(store, self.run, chosen, Path(folder)) if self.once or not chosen else Selected(chosen)


def begin(asked: Asked, settings: Settings, store: Store) -> Request:
    """The run that was asked for: a new one, or the one of that name once more. Raises as ``build`` and ``again``."""
    if asked.run and store.stat(keys.run_json(keys.check_run(asked.run))):
        with readable(store, asked.run):
            known = load(store, asked.run)
        return again(known, asked, settings, store)
    return build(asked, settings, store)


def build(asked: Asked, settings: Settings, store: Store) -> Request:
    """The run that was asked for, if the store holds what it needs. Raises as ``describe``; writes nothing."""
    if not asked.municipality:
        raise ImgflowError("whose photographs? give --municipality NAME", "`imgflow ls municipalities` lists them")
    if not asked.source:
        check_municipality(store, asked.municipality)
    elif asked.choice:
        raise ImgflowError(
            "--where and --sample choose of a municipality's dataset, not of a --source", "ingest it first"
        )
    request = describe(asked, settings)
    for label, field, value in named_files(request.run.pipeline):
        if value not in request.files and (keys.unstorable(value) or store.stat(value) is None):
            raise ImgflowError(f"{label}.{field}: there is no file {value!r} here, and no such key in {store.url}")
    return request


def describe(asked: Asked, settings: Settings) -> Request:
    """The run that was asked for, without a look into any store. Raises ImgflowError or BadParametersError."""
    municipality = keys.decode(keys.encode(asked.municipality))
    pipeline, folders = _pipeline(asked)
    listing = List(shard_size=settings.shard_size, nodes=settings.nodes, layout=settings.layout)
    collect = Collect()
    flags = [
        ("list.retry", asked.retry, "--retry"),
        ("collect.max_rejected", asked.max_rejected, "--max-rejected"),
        ("output.format", asked.format, "--format"),
    ]
    for path, value, origin in [(p, v, o) for p, v, o in flags if v] + [_split(text) for text in asked.changes]:
        target, _, field = path.rpartition(".")
        if target == "list":
            listing = _with(listing, field, value, origin)
        elif target == "collect":
            collect = _with(collect, field, value, origin)
        else:
            pipeline = _change(pipeline, target, field, value, origin)
    pipeline, files = _with_keys(pipeline, folders)
    run_id = keys.check_run(asked.run) if asked.run else new_id(municipality)
    run = Run(
        id=run_id,
        municipality=municipality,
        pipeline=pipeline,
        source=_source(asked.source, settings) if asked.source else "",
        selection=keys.selection(run_id) if asked.choice or asked.once else "",
        list=listing,
        collect=collect,
        created=time.time(),
        engine=settings.engine,
        workers=_workers(settings),
        version=__version__,
    )
    return Request(run, files, asked.choice, asked.once)


def again(known: Run, asked: Asked, settings: Settings, store: Store) -> Request:
    """The same run once more: as it was, or as asked when that gives the same results. Raises ImgflowError."""
    if not asked.municipality:
        if (
            asked.source
            or asked.pipeline
            or asked.steps
            or asked.format
            or asked.changes
            or asked.max_rejected
            or asked.choice
            or asked.once
        ):
            raise ImgflowError(
                f"run {known.id} goes on as it was submitted", "give --municipality too to say it all anew"
            )
        listing = known.list.model_copy(update={"retry": asked.retry} if asked.retry else {})
        changes = {"created": time.time(), "engine": settings.engine, "workers": _workers(settings), "list": listing}
        return Request(known.model_copy(update={**changes, "version": __version__}), {})
    request = build(asked, settings, store)
    if (request.run.municipality, request.run.digest) != (known.municipality, known.digest):
        raise ImgflowError(
            f"run {known.id} is there already, of {known.municipality} with another pipeline, source or municipality",
            f"choose another --run, or go on with `imgflow retry {known.id}`",
        )
    return request


def _workers(settings: Settings) -> int:
    return 0 if settings.engine == "argo" else settings.workers


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
    ways = "`imgflow ingest DIR --municipality NAME` copies photographs in; `--source DIR` uses them where they lie"
    close = nearest(name, known)
    raise ImgflowError(
        f"there is no municipality {name!r} in {store.url}; {there}", f"{close}\n{ways}" if close else ways
    )


def _source(source: str, settings: Settings) -> str:
    """A source as the URL under which every process finds it."""
    if "://" not in source or source.startswith("file://"):
        if settings.engine == "argo":
            raise ImgflowError(f"pods cannot see the directory {source}", "bring it in with `imgflow ingest` first")
        path = Path(source.removeprefix("file://")).expanduser()
        if not path.is_dir():
            raise ImgflowError(f"--source {source}: there is no such directory")
        return open_store(str(path.resolve())).url
    return open_store(source).url


def _pipeline(asked: Asked) -> tuple[Pipeline, list[Path]]:
    """What was asked for before anything of it is changed, and the folders to which its files are relative."""
    if asked.pipeline and asked.steps:
        raise ImgflowError("--pipeline and --steps both say which steps", "give one of them")
    if isinstance(asked.pipeline, documents.Written):
        return asked.pipeline.pipeline(), [Path()]
    if asked.pipeline:
        return documents.read(asked.pipeline).pipeline(), [Path(), asked.pipeline.parent]
    if asked.steps:
        folder = Path(asked.steps[1:]).expanduser().parent if asked.steps.startswith("@") else Path()
        return documents.short(asked.steps).pipeline(), [Path(), folder]
    return DEFAULT, [Path()]


def _split(change: str) -> tuple[str, str, str]:
    path, equals, value = change.partition("=")
    if not all([equals, *path.partition(".")]):
        raise ImgflowError(f"--set {change}: give STEP.PARAMETER=VALUE, such as scale.width=512")
    return path.strip(), value.strip(), f"--set {change}"


def _with(params: Model, field: str, value: str, origin: str) -> Model:
    fields = type(params).model_fields
    if field not in fields:
        there = f"there are: {', '.join(fields)}" if fields else "it has none"
        raise ImgflowError(f"{origin}: there is no parameter {field!r}; {there}", nearest(field, list(fields)))
    try:
        return type(params).model_validate({**params.model_dump(), field: _plain(fields[field].annotation, value)})
    except ValidationError as error:
        raise ImgflowError(f"{origin}: {explain(error, '')}") from None


def _plain(annotation: Any, value: str) -> Any:
    """A flag's text as what the parameter takes; lists are written 1,2,3 or [1,2,3]."""
    if get_origin(annotation) is tuple:
        return [part.strip() for part in value.strip("[]").split(",") if part.strip()]
    return value


def _change(pipeline: Pipeline, target: str, field: str, value: str, origin: str) -> Pipeline:
    """The pipeline with one other parameter, of a step, the encoder or the limits."""
    if target == "output":
        return pipeline.model_copy(update={"output": _with(pipeline.output, field, value, origin)})
    if target == "limits":
        return pipeline.model_copy(update={"limits": _with(pipeline.limits, field, value, origin)})
    labels = pipeline.labels
    if target not in labels:
        twice = [label for label in labels if label.rpartition(".")[0] == target]
        if twice:
            raise ImgflowError(f"{origin}: {target!r} occurs {len(twice)} times; say which: {', '.join(twice)}")
        known = [*labels, "list", "collect", "output", "limits"]
        raise ImgflowError(
            f"{origin}: there is no {target!r} here; there are: {', '.join(known)}", nearest(target, known)
        )
    position = labels.index(target) + 1
    changed = _with(pipeline.steps[position - 1].params, field, value, origin)
    return pipeline.with_params(position, **changed.model_dump())


def named_files(pipeline: Pipeline) -> Iterator[tuple[str, str, str]]:
    """Step, parameter and value of every parameter that names a file."""
    for label, call in zip(pipeline.labels, pipeline.steps, strict=True):
        for name in file_fields(call.params):
            yield label, name, getattr(call.params, name)


def _with_keys(pipeline: Pipeline, folders: Sequence[Path]) -> tuple[Pipeline, dict[str, Path]]:
    """The pipeline with store keys where its parameters name files of this machine, and those files."""
    files: dict[str, Path] = {}
    for label, name, value in named_files(pipeline):
        path = next((p for p in (f / Path(value).expanduser() for f in folders) if p.is_file()), None)
        if path:
            with path.open("rb") as file:
                key = keys.model(hashlib.file_digest(file, "sha256").hexdigest(), path.suffix)
            files[key] = path
            pipeline = pipeline.with_params(pipeline.labels.index(label) + 1, **{name: key})
    return pipeline, files
