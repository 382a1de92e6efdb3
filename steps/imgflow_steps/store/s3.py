"""S3, MinIO and everything that speaks the same as a store, with our own connections, timeouts and retries."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from xml.etree.ElementTree import ParseError

from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.helpers import check_bucket_name
from urllib3.exceptions import HTTPError, ProtocolError

from imgflow_steps.contract import BadParametersError
from imgflow_steps.keys import unstorable
from imgflow_steps.store import ChangedError, Found, KeyRefusedError, UnavailableError
from imgflow_steps.store.answers import FAULTS, explain, refused
from imgflow_steps.store.arriving import arriving
from imgflow_steps.store.settings import Settings
from imgflow_steps.store.versions import PART, version_of

if TYPE_CHECKING:
    from minio.datatypes import Object
    from urllib3 import BaseHTTPResponse

CHUNK = 256 << 10  # bytes received at once
PACE = 1 << 10  # bytes per second; what comes slower than this is given up
BATCH = 1000  # keys deleted at once, the most that S3 takes
BINARY = "application/octet-stream"
NOT_IN_XML = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")  # cannot be named in a batch


class S3:
    """See ``Store``. Each method is one request, but for many pages, parts or batches, and for retries."""

    def __init__(self, bucket: str, prefix: str, settings: Settings) -> None:
        try:
            check_bucket_name(bucket)
        except ValueError:
            raise BadParametersError(f"{bucket!r} names no bucket; write s3://bucket/prefix") from None
        prefix = prefix.strip("/")
        if prefix and (why := unstorable(prefix)):
            raise BadParametersError(f"a store cannot be rooted at the prefix {prefix!r}: {why}")
        self.url = f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}"
        self._bucket, self._root = bucket, f"{prefix}/" if prefix else ""
        self._settings = settings
        self._client = settings.client()
        self._place = f"bucket {bucket} at {settings.endpoint}"
        self._bucket_seen = False

    def entries(self, prefix: str = "") -> Iterator[Found]:
        """See ``Store``. Folder markers, which consoles leave, are no objects here."""
        last = ""
        with self._faults(prefix):
            for found in self._client.list_objects(self._bucket, prefix=self._root + prefix, recursive=True):
                name = found.object_name or ""
                if name.endswith("/"):
                    continue
                if name < last:  # strings of code points sort as their UTF-8
                    raise UnavailableError(f"{self._place} does not list its keys in order; use another server")
                last = name
                yield self._found(name.removeprefix(self._root), found)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """See ``Store``."""
        above = self._root + prefix
        with self._faults(prefix):
            for found in self._client.list_objects(self._bucket, prefix=above, recursive=False):
                name = (found.object_name or "").removeprefix(above)
                if name.endswith("/") and name != "/":
                    yield name[:-1]

    def stat(self, key: str) -> Found | None:
        """See ``Store``."""
        name = self._name(key)
        with self._faults(key):
            try:
                found = self._client.stat_object(self._bucket, name)
            except S3Error as error:
                if error.code == "AccessDenied":  # all that an answer without a body can say; this one has a body:
                    self._client.get_object(self._bucket, name, length=1).close()
                if error.code not in {"NoSuchKey", "NoSuchObject"}:
                    raise
                self._check_bucket()
                return None
            return self._found(key, found)

    def read(self, key: str, version: str = "") -> bytes:
        """See ``Store``."""
        body = BytesIO()
        self._receive(key, version, body)
        return body.getvalue()

    def read_range(self, key: str, start: int, length: int, version: str = "") -> bytes:
        """See ``Store``."""
        body = BytesIO()
        self._receive(key, version, body, start, length)
        return body.getvalue()

    def write(self, key: str, data: bytes, content_type: str = "") -> None:
        """See ``Store``."""
        self._send(key, BytesIO(data), len(data), content_type)

    def download(self, key: str, path: Path) -> None:
        """See ``Store``."""
        with arriving(path) as part, part.open("xb") as file:
            self._receive(key, "", file)

    def upload(self, path: Path, key: str, content_type: str = "") -> None:
        """See ``Store``."""
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            self._send(key, file, before.st_size, content_type)
            after = os.fstat(file.fileno())
        if version_of(after) != version_of(before):
            raise ChangedError(f"{path} changed while it was copied to {key!r} in {self.url}; copy it again")

    def delete(self, keys: Iterable[str]) -> None:
        """See ``Store``."""
        names = map(self._name, keys)
        while batch := list(islice(names, BATCH)):
            with self._faults(f"{batch[0]} and {len(batch) - 1} more"):
                for name in filter(NOT_IN_XML.search, batch):
                    self._client.remove_object(self._bucket, name)
                plain = [DeleteObject(name) for name in batch if not NOT_IN_XML.search(name)]
                for error in self._client.remove_objects(self._bucket, plain):
                    raise refused(error.code, error.message or "", self._place, error.name or "", 403)

    @staticmethod
    def _found(key: str, found: Object) -> Found:
        placed = found.last_modified.timestamp() if found.last_modified else 0.0
        return Found(key, found.etag or "", found.size or 0, placed)

    def _name(self, key: str) -> str:
        why = unstorable(key) or ("" if key.strip() else "its name is blank")
        if why:
            raise KeyRefusedError(f"{self.url} cannot hold {key!r}: {why}; rename it")
        return self._root + key

    def _send(self, key: str, file: BinaryIO, length: int, content_type: str) -> None:
        name = self._name(key)
        with self._faults(key):
            self._client.put_object(
                self._bucket, name, file, length, content_type or BINARY, part_size=PART, num_parallel_uploads=1
            )

    def _receive(self, key: str, version: str, file: BinaryIO, start: int = 0, length: int = 0) -> None:
        """Write the object, or that part of it, to ``file``; an answer that breaks off is asked for again."""
        name, settings = self._name(key), self._settings
        headers: dict[str, str | list[str] | tuple[str]] = {"If-Match": f'"{version}"'} if version else {}
        with self._faults(key):
            for attempt in range(settings.retries + 1):
                file.seek(0)
                file.truncate()
                response = self._client.get_object(self._bucket, name, start, length, headers)
                try:
                    _drain(response, file, settings.read)
                except HTTPError:
                    if attempt == settings.retries:
                        raise
                else:
                    return
                finally:
                    response.close()
                    response.release_conn()
                time.sleep(settings.backoff * (2**attempt + random.random()))  # noqa: S311 - jitter

    def _check_bucket(self) -> None:
        """Once: an answer without a body does not say whether the object or the whole bucket is missing."""
        if not self._bucket_seen and not self._client.bucket_exists(self._bucket):
            raise refused("NoSuchBucket", "The bucket does not exist", self._place, "", 404)
        self._bucket_seen = True

    @contextmanager
    def _faults(self, key: str) -> Iterator[None]:
        try:
            yield
        except FAULTS as error:
            raise explain(error, self._place, key) from error
        except ParseError as error:
            raise UnavailableError(f"{self._place}: {key!r}: the answer is not XML ({error}); is this S3?") from error


def _drain(response: BaseHTTPResponse, file: BinaryIO, patience: float) -> None:
    """Raises urllib3's errors when the body stops, comes too slowly, or ends before its Content-Length."""
    started, received = time.monotonic(), 0
    while chunk := response.read1(CHUNK, decode_content=False):
        file.write(chunk)
        received += len(chunk)
        seconds = time.monotonic() - started
        if seconds > patience and received < seconds * PACE:
            raise ProtocolError(f"{received} bytes in {seconds:.0f} seconds are too slow")
