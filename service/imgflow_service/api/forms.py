"""Forms with files (multipart/form-data) as a stream: large parts go to disk, and nothing is larger than it may be."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Self

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from imgflow_service.api import bodies
from imgflow_service.wire.problems import Problem

if TYPE_CHECKING:
    from imgflow_service.api.admission import Place
    from imgflow_service.settings import ServiceLimits

MEMORY = 1 << 20  # bytes of a part that stay in memory
PARTS = 1000
FIELD = 64 << 10  # bytes of a part that is no file
AROUND = 4 << 10  # bytes around each file
BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


@dataclass(slots=True)
class File:
    """A file of a form: its field, its name as the client gave it, and its bytes, in memory or on disk."""

    field: str
    name: str
    content: SpooledTemporaryFile[bytes]
    size: int = 0

    def read(self) -> bytes:
        """All of it."""
        self.content.seek(0)
        return self.content.read()


@dataclass(slots=True)
class Form:
    """What a form held, each field in the order of its parts. A context: files on disk go at its end."""

    fields: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    files: list[File] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files:
            file.content.close()


async def read(request: Request, place: Place, limits: ServiceLimits, files: int, seconds: float = 0.0) -> Form:
    """A form of at most this many files, which comes no slower than a PACE in so many seconds, where these are given.

    Raises Problem: bad-request where it is no form, too-many-bytes, too-many-files, busy, timeout.
    """
    largest = files * (limits.bytes + AROUND) + PARTS * FIELD
    bodies.declared(request, largest)
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not BOUNDARY.fullmatch(boundary):
        raise Problem("bad-request", "a form is multipart/form-data with a boundary")
    reader = _Reader(limits.bytes, files)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": reader.begin,
            "on_header_field": reader.header_name,
            "on_header_value": reader.header_value,
            "on_header_end": reader.header_end,
            "on_headers_finished": reader.headers_end,
            "on_part_data": reader.data,
            "on_part_end": reader.end,
            "on_end": reader.finish,
        },
    )
    try:
        async for chunk in bodies.counted(request, place, largest, lambda: reader.held, seconds):
            parser.write(chunk)
        parser.finalize()
        if not reader.finished:
            raise Problem("bad-request", "the form breaks off before its end")
    except BaseException as error:
        reader.form.__exit__()
        if isinstance(error, FormParserError):
            raise Problem("bad-request", f"the form cannot be read: {error}") from None
        raise
    return reader.form


class _Reader:
    """What the parser tells, part by part."""

    def __init__(self, largest: int, files: int) -> None:
        self.form = Form()
        self.finished = False
        self.held = 0  # bytes in memory
        self._largest, self._files = largest, files
        self._parts = 0
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = b"", b""
        self._file: File | None = None
        self._field = ""
        self._text = bytearray()

    def begin(self) -> None:
        self._parts += 1
        if self._parts > PARTS:
            raise Problem("bad-request", f"the form has more than {PARTS} parts")
        self._headers, self._name, self._value = {}, b"", b""
        self._file, self._text = None, bytearray()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def headers_end(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise Problem("bad-request", "a part of the form does not say which field it is")
        self._field = options[b"name"].decode("utf-8", "replace")
        if b"filename" not in options:
            return
        if len(self.form.files) >= self._files:
            one = "one file" if self._files == 1 else f"{self._files} files"
            raise Problem("too-many-files", f"the form has more than {one}, the limit (limits.files)")
        name = options[b"filename"].decode("utf-8", "replace")
        self._file = File(self._field, name, SpooledTemporaryFile(max_size=MEMORY))  # noqa: SIM115 - the form closes it
        self.form.files.append(self._file)

    def data(self, data: bytes, start: int, end: int) -> None:
        size = end - start
        if self._file is None:
            if len(self._text) + size > FIELD:
                raise Problem("too-many-bytes", f"the field {self._field[:80]!r} has more than {FIELD} bytes")
            self._text += data[start:end]
            self.held += size
            return
        before = self._file.size
        self._file.size += size
        if self._file.size > self._largest:
            raise Problem("too-many-bytes", f"{self._file.name[:200]!r} has more than {self._largest} bytes, the limit")
        self._file.content.write(data[start:end])
        kept = [min(of, MEMORY + 1) % (MEMORY + 1) for of in (before, self._file.size)]  # beyond, all is on disk
        self.held += kept[1] - kept[0]

    def end(self) -> None:
        if self._file is None:
            self.form.fields[self._field].append(self._text.decode("utf-8", "replace"))

    def finish(self) -> None:
        self.finished = True
