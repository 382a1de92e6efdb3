"""Whether bytes are those that the store holds: by S3's checksum, by MD5 where the ETag is one, else by length.

An ETag is an MD5 unless the object went up in parts (``-7`` at its end) or is encrypted with a key of its own.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping
from typing import Protocol

from imgflow_steps.store.asking import SpoiltError
from imgflow_steps.store.versions import PART

MD5 = re.compile(r"[0-9a-f]{32}")
PARTS = re.compile(r"([0-9a-f]{32})-(\d+)")
KMS = "x-amz-server-side-encryption"
CUSTOMER = "x-amz-server-side-encryption-customer-algorithm"
CRC32 = "x-amz-checksum-crc32"
WISH = {"x-amz-checksum-mode": "ENABLED"}  # header by which a server tells its checksum
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class Sum(Protocol):
    """As in hashlib."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes in."""

    def digest(self) -> bytes:
        """The sum of all bytes so far."""


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def crc32(data: bytes) -> str:
    """A checksum as S3 writes it."""
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def etag(headers: Mapping[str, str]) -> str:
    """The ETag without its quotes, "" where there is none."""
    return headers.get("etag", "").strip('"')


def md5_of(headers: Mapping[str, str], *, opaque: bool) -> str:
    """The ETag where it is the MD5 of the object, else ""."""
    return etag(headers) if MD5.fullmatch(etag(headers)) and not _is_opaque(headers, opaque=opaque) else ""


def _is_opaque(headers: Mapping[str, str], *, opaque: bool) -> bool:
    """Whether an ETag says nothing of the bytes."""
    return opaque or headers.get(KMS, "AES256") != "AES256" or CUSTOMER in headers


class _Parts:
    """The ETag of what was sent in parts by imgflow, which cuts at ``PART``."""

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._part, self._room = hashlib.md5(usedforsecurity=False), PART

    @property
    def count(self) -> int:
        """The number of parts so far."""
        return len(self._done) + (self._room < PART)

    def update(self, data: bytes, /) -> None:
        rest = memoryview(data)
        while rest:
            self._part.update(rest[: self._room])
            taken = min(len(rest), self._room)
            rest, self._room = rest[taken:], self._room - taken
            if not self._room:
                self._done.append(self._part.digest())
                self._part, self._room = hashlib.md5(usedforsecurity=False), PART

    def digest(self) -> bytes:
        last = [self._part.digest()] if self._room < PART else []
        return hashlib.md5(b"".join([*self._done, *last]), usedforsecurity=False).digest()


class Check:
    """What an answer says of the object that it brings, and whether the bytes that come fit."""

    def __init__(
        self,
        headers: Mapping[str, str],
        *,
        version: str = "",
        size: int = -1,
        opaque: bool = False,
        ours: bool = False,
    ) -> None:
        """``ours`` says that imgflow wrote it, and in which parts."""
        self.size = size
        came = etag(headers)
        self._name, self._want = _stated_sum(headers, opaque=opaque)
        self._sum: Sum | None = _begin(self._name)
        parts = PARTS.fullmatch(came) if ours and not self._sum and not _is_opaque(headers, opaque=opaque) else None
        if parts:
            self._name, self._want, self._sum = "MD5 of parts", bytes.fromhex(parts[1]), _Parts()
        self._parts = int(parts[2]) if parts else 0
        self._received = 0
        if version and came and came != version:
            raise SpoiltError(f"version {came} came, not {version} that was asked for")

    @property
    def certain(self) -> bool:
        """Whether anything was there to compare with but the answer's own length."""
        return self.size >= 0 or self.sums

    @property
    def sums(self) -> bool:
        """Whether there is a sum to compare with."""
        return self._sum is not None and self._fits

    @property
    def _fits(self) -> bool:
        """Whether the sum is of the right kind: not of parts that somebody else has cut otherwise."""
        return not isinstance(self._sum, _Parts) or self._sum.count == self._parts

    def add(self, data: bytes) -> None:
        """Take in what came."""
        self._received += len(data)
        if self._sum:
            self._sum.update(data)

    def end(self) -> None:
        """Raises SpoiltError unless all that came fits."""
        if self.size >= 0 and self._received != self.size:
            raise SpoiltError(f"{self._received} bytes came, not the {self.size} of the listing")
        if self._sum and self._fits and self._sum.digest() != self._want:
            raise SpoiltError(
                f"what came has another {self._name} than the store says of it ({self._received} bytes)"
                + (
                    ""
                    if self._name != "MD5"
                    else "; if the server's ETags are not MD5 sums, set IMGFLOW_S3_ETAG=opaque"
                )
            )


def check_stored(headers: Mapping[str, str], data: bytes, *, opaque: bool) -> None:
    """Raises SpoiltError when the server says that it has stored something else than ``data``."""
    told = headers.get(CRC32, "")
    if told == crc32(data):
        return
    md5, has = hashlib.md5(data, usedforsecurity=False).hexdigest(), md5_of(headers, opaque=opaque)
    if told or (has and has != md5):
        raise SpoiltError(f"it has stored other bytes than were sent (it reports {told or has} of them)")


def check_range(
    headers: Mapping[str, str], start: int, length: int, data: bytes, version: str, *, opaque: bool
) -> bool:
    """Raises SpoiltError unless an answer brings the part of an object that was asked for.

    Gives whether its sum has proved it, as it can where the part is all of the object.
    """
    if version and etag(headers) and etag(headers) != version:
        raise SpoiltError(f"version {etag(headers)} came, not {version} that was asked for")
    said, received = RANGE.fullmatch(headers.get("content-range", "")), len(data)
    if said:
        first, last, size = int(said[1]), int(said[2]), said[3]
        fits = first == start and last - first + 1 == received <= length
    else:  # all of it, which some servers do not call a part
        first, size = 0, str(received)
        fits = start == 0 and received <= length
    if not fits:
        raise SpoiltError(f"{received} bytes came, not {length} from {start}")
    if first or size != str(received):
        return False
    check = Check(headers, size=received, opaque=opaque)
    check.add(data)
    check.end()
    return check.sums


def _stated_sum(headers: Mapping[str, str], *, opaque: bool) -> tuple[str, bytes]:
    if told := _of_whole(headers, "CRC32"):
        return "CRC32", told  # a quarter of the work of an MD5
    if md5 := md5_of(headers, opaque=opaque):
        return "MD5", bytes.fromhex(md5)
    return next(((name, told) for name in ("SHA256", "SHA1") if (told := _of_whole(headers, name))), ("", b""))


def _of_whole(headers: Mapping[str, str], name: str) -> bytes:
    """A checksum of all of the object; b"" where there is none, or one of those of its parts, as in ``AAAAAA==-2``."""
    told = headers.get(f"x-amz-checksum-{name.lower()}", "")
    of_parts = "-" in told or headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT"
    return b"" if of_parts else base64.b64decode(told)


def _begin(name: str) -> Sum | None:
    match name:
        case "MD5":
            return hashlib.md5(usedforsecurity=False)
        case "SHA256":
            return hashlib.sha256()
        case "SHA1":
            return hashlib.sha1(usedforsecurity=False)
        case "CRC32":
            return _Crc32()
        case _:
            return None
