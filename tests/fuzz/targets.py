"""What is fuzzed: each target takes bytes of a stranger, and may answer with a result or an error that it documents."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from fastapi import Request
from google.protobuf.message import DecodeError
from tests.fuzz import seeds
from tests.fuzz.oracle import differs

from imgflow_service.api import forms
from imgflow_service.api.admission import Admission
from imgflow_service.settings import ServiceSettings
from imgflow_service.wire import pipelines as wire
from imgflow_service.wire.problems import Problem
from imgflow_service.wire.processor_pb2 import ProcessRequest
from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.apply import OpenPipeline
from imgflow_steps.pipeline.model import BadPipelineError, parse
from imgflow_steps.store import open_store
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.ingest.archive import Tar, Zip
from imgflow_workflows.ingest.table import Table
from imgflow_workflows.submit import pipeline_file
from imgflow_workflows.transfer.copying import Source, ingest

LIMITS = {"pixels": 4_000_000}
STEPS: tuple[list[Any], ...] = (
    ["scale:16x16", "grayscale"],
    ["crop:1:1", "rotate:90", "normalize"],
    ["grayscale", "scale:9x9"],
    ["split", "scale:7x5"],
)
OUTPUTS = ("jpeg", "png", "webp")


class WrongError(Exception):
    """An answer that is no crash and still cannot be right."""


@dataclass(frozen=True, slots=True)
class Target:
    """``answer`` takes an input and says in a word what came of it; whatever it raises is a finding."""

    seeds: Callable[[], Mapping[str, bytes]]
    answer: Callable[[bytes, Random], str]


@cache
def _opened(steps: int, output: str) -> OpenPipeline:
    return OpenPipeline(parse({"steps": STEPS[steps], "output": output, "limits": LIMITS}))


def pictures(data: bytes, random: Random) -> str:
    """A picture through one of several pipelines."""
    opened = _opened(random.randrange(len(STEPS)), random.choice(OUTPUTS))
    try:
        made = opened.process(data, "a.jpg")
    except Rejected as verdict:
        return verdict.code
    if not all(picture.data and picture.width and picture.height for picture in made.pictures):
        raise WrongError("a picture without bytes or sides")
    return "made"


def decoders(data: bytes, _: Random) -> str:
    """A picture decoded whole by us and by others. What they doubt is a doubt and no finding, wrong pixels are one."""
    ours: codec.Decoded | Rejected
    try:
        ours = codec.decode(data, DecodePlan(), Limits(**LIMITS))
    except Rejected as verdict:
        ours = verdict
    doubt = differs(data, ours)
    if doubt == "wrong pixels":
        raise WrongError(doubt)
    return doubt or ("rejected" if isinstance(ours, Rejected) else "made")


def tables(data: bytes, random: Random) -> str:
    """A table that comes in beside its photographs."""
    with tempfile.TemporaryDirectory() as folder:
        name = "table.parquet" if data[:4] == b"PAR1" else random.choice(("table.csv", "table.tsv"))
        path = Path(folder, "in", name)
        (path.parent / "images").mkdir(parents=True)
        for photo in ("1", "2"):
            (path.parent / "images" / f"{photo}.jpg").write_bytes(b"\xff\xd8\xff")
        path.write_bytes(data)
        return _ingested(Table(path, lenient=random.random() < 1 / 2), Path(folder))


def archives(data: bytes, _: Random) -> str:
    """An archive that comes in, whatever it calls itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photos")
        path.write_bytes(data)
        source = Zip(path) if data[:2] == b"PK" else Tar(path)
        return _ingested(source, Path(folder))


def _ingested(source: Source, folder: Path) -> str:
    before = sorted(folder.rglob("*"))
    try:
        ingest(source, open_store(str(folder / "store")), "Demo", workers=1, tell=lambda _: None)
    except (BadParametersError, ImgflowError) as error:
        return type(error).__name__
    inside = folder / "store"
    beside = [path for path in sorted(folder.rglob("*")) if not path.is_relative_to(inside) and path not in before]
    links = [path for path in inside.rglob("*") if path.is_symlink()]
    if beside or links:
        raise WrongError(f"written outside of the store: {beside + links}")
    return "made"


def pipelines(data: bytes, _: Random) -> str:
    """A pipeline file; one that is read means the same when it is written and read again."""
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(data)
        file.flush()
        try:
            pipeline = pipeline_file.read(Path(file.name)).pipeline()
        except ImgflowError:
            return "rejected"
    if parse(pipeline.model_dump(mode="json")) != pipeline:
        raise WrongError("another pipeline after writing and reading")
    return "made"


def bodies(data: bytes, random: Random) -> str:
    """A form with files, in chunks of any size."""
    chunks, at = [], 0
    while at < len(data):
        size = random.randint(1, 400)
        chunks.append(data[at : at + size])
        at += size
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    kind = b"multipart/form-data; boundary=" + seeds.BOUNDARY
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind)], "query_string": b""}
    admission = Admission(1, 1 << 30, 1 << 30, lambda _: None)

    async def read() -> str:
        with (
            admission.place() as place,
            await forms.read(Request(scope, receive), place, ServiceSettings().limits, files=3) as form,
        ):
            return f"{len(form.files)} files"

    try:
        return asyncio.run(read())
    except Problem as problem:
        return problem.code
    finally:
        if admission.held or admission.inflight:
            raise WrongError("bytes or a place are not given back")


def messages(data: bytes, _: Random) -> str:
    """A message to a processor, and the pipeline in it."""
    try:
        request = ProcessRequest.FromString(data)
    except DecodeError:
        return "no message"
    try:
        wire.read(request.pipeline_json, Limits(**LIMITS))
    except BadPipelineError:
        return "no pipeline"
    return "made"


TARGETS = {
    "pictures": Target(seeds.pictures, pictures),
    "decoders": Target(seeds.pictures, decoders),
    "tables": Target(seeds.tables, tables),
    "archives": Target(seeds.archives, archives),
    "pipelines": Target(seeds.pipelines, pipelines),
    "forms": Target(seeds.forms, bodies),
    "messages": Target(seeds.messages, messages),
}
