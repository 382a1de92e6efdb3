"""Files that a pipeline's parameters name, here or in the store: the pipeline names them by what they hold."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import file_fields
from imgflow_steps.records import keys
from imgflow_steps.store import ChangedError, NotFoundError, names
from imgflow_steps.store.leftovers import temporary
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.submit import pipeline_file

if TYPE_CHECKING:
    from imgflow_steps.pipeline.model import Pipeline
    from imgflow_steps.store import Store

BY_CONTENT = re.compile(r"models/[0-9a-f]{64}(\.[^/]*)?")


def named_files(pipeline: Pipeline) -> Iterator[tuple[str, str, str]]:
    """Step, parameter and value of every parameter that names a file."""
    for label, call in zip(pipeline.labels, pipeline.steps, strict=True):
        for name in file_fields(call.params):
            yield label, name, getattr(call.params, name)


def from_here(pipeline: Pipeline, folder: Path) -> tuple[Pipeline, dict[str, Path]]:
    """The pipeline with store keys where its parameters name files of this machine, and those files."""
    files: dict[str, Path] = {}
    for label, name, value in named_files(pipeline):
        path = pipeline_file.file_of(value, folder)
        if path:
            key = _key(path, path.suffix)
            files[key] = path
            pipeline = _renamed(pipeline, label, name, key)
    return pipeline, files


def from_store(pipeline: Pipeline, store: Store, files: Container[str]) -> tuple[Pipeline, dict[str, str]]:
    """The same for files of the store that have a name of somebody's own, under which other ones may lie tomorrow.

    Gives also that name of each, by its new one. ``files`` are keys of those that are brought from this machine.
    Raises ImgflowError for what is no key of the store.
    """
    own: dict[str, str] = {}
    for label, name, value in named_files(pipeline):
        by_content = BY_CONTENT.fullmatch(value)
        if value in files or (by_content and store.stat(value)):
            continue
        try:
            if by_content or names.unstorable(value):
                raise NotFoundError(value)
            with temporary() as folder:
                store.download(value, folder / "file")
                key = _key(folder / "file", PurePosixPath(value).suffix)
        except NotFoundError:
            raise ImgflowError(
                f"{label}.{name}: there is no file {value!r} here, and no such key in {store.url}"
            ) from None
        own[key] = value
        pipeline = _renamed(pipeline, label, name, key)
    return pipeline, own


def copy(store: Store, old: str, key: str) -> None:
    """Keep a file of the store under the key that says what it holds. Raises ChangedError where it is another now."""
    with temporary() as folder:
        store.download(old, folder / "file")
        if _key(folder / "file", PurePosixPath(old).suffix) != key:
            raise ChangedError(f"{old!r} in {store.url} was replaced meanwhile; give the command again")
        store.upload(folder / "file", key)


def _key(path: Path, suffix: str) -> str:
    with path.open("rb") as file:
        return keys.model(hashlib.file_digest(file, "sha256").hexdigest(), suffix)


def _renamed(pipeline: Pipeline, label: str, name: str, key: str) -> Pipeline:
    return pipeline.with_params(pipeline.labels.index(label) + 1, **{name: key})
