"""S3, MinIO and everything that speaks the same as a store, with our own connections, timeouts and retries."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

from minio.deleteobjects import DeleteObject
from minio.helpers import check_bucket_name
from urllib3.exceptions import ProtocolError

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import (
    ChangedError,
    DeniedError,
    KeyRefusedError,
    NotFoundError,
    StoredObject,
    conditional,
)
from imgflow_steps.store.answers import refused
from imgflow_steps.store.arriving import arriving
from imgflow_steps.store.asking import SpoiltError, StrangeError, connections
from imgflow_steps.store.client import open_client
from imgflow_steps.store.names import unstorable
from imgflow_steps.store.pages import Page, listed, page
from imgflow_steps.store.retries import Retries
from imgflow_steps.store.settings import S3Settings
from imgflow_steps.store.sockets import PACE
from imgflow_steps.store.sums import CRC32, WISH, Check, check_range, check_stored, crc32
from imgflow_steps.store.versions import PART, same

if TYPE_CHECKING:
    from minio.datatypes import Object
    from minio.deleteobjects import DeleteError
    from urllib3 import BaseHTTPResponse

Headers = dict[str, str | list[str] | tuple[str]]

CHUNK = 256 << 10  # bytes received at once
OVERLAP = 2  # bytes more that a part has when it is asked for again
BATCH = 1000  # keys deleted at once, the most that S3 takes
OURS = ("runs/", "results/", "costs/", "scratch/")  # what imgflow alone writes, and in which parts it knows
BINARY = "application/octet-stream"
NOT_IN_XML = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")  # cannot be named in a batch


class S3:
    """See ``Store``. Each method is one request, but for many pages, parts or batches, and for retries."""

    def __init__(self, bucket: str, prefix: str, settings: S3Settings) -> None:
        try:
            check_bucket_name(bucket)
        except ValueError:
            raise BadParametersError(f"{bucket!r} names no bucket; write s3://bucket/prefix") from None
        prefix = prefix.strip("/")
        if prefix and (why := unstorable(prefix)):
            raise BadParametersError(f"a store cannot be rooted at the prefix {prefix!r}: {why}")
        self.url = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
        self.server = settings.endpoint
        self._bucket, self._root = bucket, f"{prefix}/" if prefix else ""
        self._connections = connections(settings)
        self._client = open_client(settings, self._connections)
        self._opaque = settings.etags == "opaque" or bucket.endswith("--x-s3")  # S3 Express
        self._place = f"bucket {bucket} at {settings.endpoint}"
        self._retries = Retries(self._place, settings, self._connections)
        self._ask = self._retries.ask
        self._bucket_seen = False
        self._conditions: bool | None = None  # whether the server heeds them, once that is known

    def entries(self, prefix: str = "") -> Iterator[StoredObject]:
        """See ``Store``. Folder markers, which consoles leave, are no objects here."""
        for found in self._listed(prefix, ""):
            name = found.object_name or ""
            if not name.endswith("/"):
                yield self._object(name.removeprefix(self._root), found)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """See ``Store``."""
        for found in self._listed(prefix, "/"):
            name = (found.object_name or "").removeprefix(self._root + prefix)
            if name.endswith("/") and name != "/":
                yield name[:-1]

    def _listed(self, prefix: str, delimiter: str) -> Iterator[Object]:
        def one(token: str, last: str) -> Page:
            return self._ask(prefix, lambda: self._page(self._root + prefix, delimiter, token, last))

        return listed(one, f"{self._place}: {prefix!r}")

    def _page(self, prefix: str, delimiter: str, token: str, last: str) -> Page:
        query: dict[str, str | list[str] | tuple[str]] = {
            "list-type": "2",
            "delimiter": delimiter,
            "encoding-type": "url",
            "max-keys": str(BATCH),
            "prefix": prefix,
        }
        if token:
            query["continuation-token"] = token
        # minio's own listing follows any token and never looks back
        return page(self._client._execute("GET", self._bucket, query_params=query), prefix, last)  # noqa: SLF001

    def stat(self, key: str) -> StoredObject | None:
        """See ``Store``."""
        name = self._name(key)
        try:
            return self._object(key, self._ask(key, lambda: self._stat(name)))
        except NotFoundError:
            self._check_bucket()
            return None
        except DeniedError:  # all that an answer without a body can say; this one has a body:
            self._ask(key, lambda: self._client.get_object(self._bucket, name, length=1).close())
            raise

    def _stat(self, name: str) -> Object:
        found = self._client.stat_object(self._bucket, name)
        if not found.etag and not found.last_modified:
            raise StrangeError("it says neither the ETag nor the time of an object")
        return found

    def read(self, key: str, version: str = "", size: int = -1) -> bytes:
        """See ``Store``."""
        body = BytesIO()
        self._receive(key, body, version, size)
        return body.getvalue()

    def read_range(self, key: str, start: int, length: int, version: str = "") -> bytes:
        """See ``Store``."""
        name, headers = self._name(key), _if_match(version)

        def part(first: int, count: int) -> tuple[bytes, bool]:
            response, body = self._client.get_object(self._bucket, name, first, count, headers), BytesIO()
            with _ended(response):
                self._drain(response, body)
            data = body.getvalue()
            return data, check_range(response.headers, first, count, data, version, opaque=self._opaque)

        def twice() -> bytes:
            """A part has no sum of its own: what is asked for again, cut otherwise, has to hold the same."""
            data, proved = part(start, length)
            if proved:
                return data
            before = min(start, OVERLAP)
            again, _ = part(start - before, length + (before or OVERLAP))
            if again[before : before + len(data)] != data:
                raise SpoiltError(f"{len(data)} bytes from {start} came twice, and are not the same")
            return data

        return self._ask(key, twice)

    def write(self, key: str, data: bytes, content_type: str = "") -> None:
        """See ``Store``."""
        self._send(key, BytesIO(data), len(data), content_type)

    def replace(self, key: str, data: bytes, version: str = "", content_type: str = "") -> StoredObject:
        """See ``Store``. Where a server ignores conditions, the last one who wrote within some seconds succeeds."""
        if self._conditions is None:
            name = self._name(f"{key}.{uuid4().hex}")
            self._conditions = conditional.understood(partial(self._put_if, name), partial(self._remove_one, name))
        if not self._conditions:
            return conditional.replace_and_look(self, key, data, version, content_type)

        def put(data: bytes, condition: Headers) -> str:
            return self._put_if(self._name(key), data, {"Content-Type": content_type or BINARY, **condition})

        return conditional.replace(self, put, key, data, version)

    def _put_if(self, name: str, data: bytes, condition: Headers) -> str:
        """Put an object on a condition, which minio's own method does not send; gives its ETag."""
        headers = {"Content-Type": BINARY, **condition}
        return self._ask(name, lambda: self._client._put_object(self._bucket, name, data, headers).etag or "")  # noqa: SLF001

    def _remove_one(self, name: str) -> None:
        self._ask(name, partial(self._client.remove_object, self._bucket, name))

    def download(self, key: str, path: Path) -> None:
        """See ``Store``."""
        with arriving(path) as part, part.open("xb") as file:
            self._receive(key, file)

    def upload(self, path: Path, key: str, content_type: str = "") -> None:
        """See ``Store``."""
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            self._send(key, file, before.st_size, content_type)
            after = os.fstat(file.fileno())
        if not same(before, after):
            raise ChangedError(f"{path} changed while it was copied to {key!r} in {self.url}; copy it again")

    def delete(self, keys: Iterable[str]) -> None:
        """See ``Store``."""
        names = map(self._name, keys)
        while batch := list(islice(names, BATCH)):
            told = f"{batch[0]} and {len(batch) - 1} more"
            for name in filter(NOT_IN_XML.search, batch):
                self._ask(told, partial(self._client.remove_object, self._bucket, name))
            plain = [DeleteObject(name) for name in batch if not NOT_IN_XML.search(name)]
            for error in self._ask(told, partial(self._remove, plain)):
                raise refused(error.code, error.message or "", self._place, error.name or "", 403)

    def sweep(self, ended: str = "") -> None:
        """See ``Store``. A server shows nothing that is unfinished; a bucket's lifecycle rule removes it."""

    def doubt(self) -> None:
        """See ``Store``."""
        self._retries.doubt()

    def _remove(self, objects: list[DeleteObject]) -> list[DeleteError]:
        return list(self._client.remove_objects(self._bucket, objects))

    @staticmethod
    def _object(key: str, found: Object) -> StoredObject:
        placed = found.last_modified.timestamp() if found.last_modified else 0.0
        return StoredObject(key, found.etag or "", found.size or 0, placed)

    def _name(self, key: str) -> str:
        why = unstorable(key) or ("" if key.strip() else "its name is blank")
        if why:
            raise KeyRefusedError(f"{self.url} cannot hold {key!r}: {why}; rename it")
        return self._root + key

    def _send(self, key: str, file: BinaryIO, length: int, content_type: str) -> None:
        """Put an object, again where what the server says that it has is not what was sent."""
        name = self._name(key)

        def put() -> None:
            file.seek(0)
            data = file.read() if length <= PART else b""  # else each part has its own sum
            file.seek(0)
            sums: dict[str, str | list[str] | tuple[str]] = {CRC32: crc32(data)} if length <= PART else {}
            done = self._client.put_object(
                self._bucket, name, file, length, content_type or BINARY, sums, part_size=PART, num_parallel_uploads=1
            )
            if not done.etag:
                raise StrangeError("it does not say what it has stored (no ETag)")
            if sums:
                check_stored(done.http_headers, data, opaque=self._opaque)

        self._ask(key, put)

    def _receive(self, key: str, file: BinaryIO, version: str = "", size: int = -1) -> None:
        """Write the whole object to ``file``, when it is what the store says that it is."""
        name = self._name(key)

        def whole() -> None:
            file.seek(0)
            file.truncate()
            response = self._client.get_object(self._bucket, name, request_headers=_if_match(version) | WISH)
            with _ended(response):
                ours = not version and key.startswith(OURS)
                check = Check(response.headers, version=version, size=size, opaque=self._opaque, ours=ours)
                self._drain(response, file, check)
            if not check.certain:  # nothing but its own word says how long it is
                check.size = self._stat(name).size or 0
            check.end()

        self._ask(key, whole)
        self._retries.readable()

    def _drain(self, response: BaseHTTPResponse, file: BinaryIO, check: Check | None = None) -> None:
        """Raises urllib3's errors when the body stops, comes too slowly, or ends before its Content-Length."""
        started, received = time.monotonic(), 0
        while chunk := _more(response, received):
            file.write(chunk)
            if check:
                check.add(chunk)
            received += len(chunk)
            if received > (time.monotonic() - started) * PACE:
                self._connections.heard()
        if received:
            self._connections.proved()

    def _check_bucket(self) -> None:
        """Once: an answer without a body does not say whether the object or the whole bucket is missing."""
        if not self._bucket_seen and not self._ask("", lambda: self._client.bucket_exists(self._bucket)):
            raise refused("NoSuchBucket", "The bucket does not exist", self._place, "", 404)
        self._bucket_seen = True


def _if_match(version: str) -> Headers:
    return {"If-Match": f'"{version}"'} if version else {}


def _more(response: BaseHTTPResponse, received: int) -> bytes:
    try:
        return response.read1(CHUNK, decode_content=False)
    except ProtocolError as error:
        raise SpoiltError(f"the answer breaks off after {received} bytes ({error})") from error


@contextmanager
def _ended(response: BaseHTTPResponse) -> Iterator[None]:
    try:
        yield
    finally:
        response.close()
        response.release_conn()
