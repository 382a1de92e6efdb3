"""A request for a picture to and from its bytes on the wire, with the picture beside it: each copy costs a millisecond.

The bytes are those of the proto; only who writes and reads the picture's own field is another.
"""

from __future__ import annotations

from typing import NamedTuple

from imgflow_service.wire.processor_pb2 import ProcessRequest

IMAGE = ProcessRequest.IMAGE_FIELD_NUMBER << 3 | 2
FIXED = {1: 8, 5: 4}  # bytes of a field by its wire type
VARINT, BYTES = 0, 2
LONGEST = 10  # bytes of a number


class ImageRequest(NamedTuple):
    """A request whose field ``image`` is empty, and the picture."""

    request: ProcessRequest
    image: bytes | memoryview


def written(message: ImageRequest) -> bytes:
    """As the proto has it."""
    size, head = len(message.image), bytearray([IMAGE])
    while size > 0x7F:  # noqa: PLR2004 - seven bits of a number to a byte
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return b"".join((message.request.SerializeToString(), head, message.image))


def read(data: bytes) -> ImageRequest:
    """What was written by whomever; the picture is a view. Raises google.protobuf's DecodeError, ValueError."""
    view, at, rest, image = memoryview(data), 0, [], memoryview(b"")
    while at < len(view):
        began = at
        tag, at = _number(view, at)
        kind = tag & 7
        if kind == VARINT:
            _, at = _number(view, at)
        elif kind == BYTES:
            size, at = _number(view, at)
            at += size
        elif kind in FIXED:
            at += FIXED[kind]
        else:
            raise ValueError(f"there is no wire type {kind}")
        if at > len(view):
            raise ValueError("the message breaks off")
        if tag == IMAGE:
            image = view[at - size : at]
        else:
            rest.append(view[began:at])
    return ImageRequest(ProcessRequest.FromString(b"".join(rest)), image)


def _number(view: memoryview, at: int) -> tuple[int, int]:
    """A number and where it ends. Raises ValueError."""
    value = 0
    for shift, byte in enumerate(view[at : at + LONGEST]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte
            return value, at + shift + 1
    raise ValueError("a number breaks off")
