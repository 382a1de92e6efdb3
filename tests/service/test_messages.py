"""A request's picture goes beside its message, and the bytes on the wire are those of the proto."""

from __future__ import annotations

from contextlib import suppress

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from imgflow_service.wire import messages
from imgflow_service.wire.messages import ImageRequest
from imgflow_service.wire.processor_pb2 import ProcessRequest, Scaling

REQUESTS = st.builds(
    ProcessRequest,
    name=st.text(max_size=40),
    grayscale=st.booleans(),
    quality=st.integers(0, 2**32 - 1),
    scaling=st.none() | st.builds(Scaling, enabled=st.booleans(), width=st.integers(0, 2**32 - 1)),
)
IMAGES = st.binary(max_size=40) | st.integers(120, 20_000).map(bytes)


@given(request=REQUESTS, image=IMAGES)
def test_what_is_written_is_read_by_the_proto_and_what_the_proto_writes_is_read(
    request: ProcessRequest, image: bytes
) -> None:
    whole = ProcessRequest(image=image)
    whole.MergeFrom(request)

    assert ProcessRequest.FromString(messages.written(ImageRequest(request, image))) == whole
    read = messages.read(whole.SerializeToString())
    assert (read.request, bytes(read.image)) == (request, image)


def test_of_a_field_that_comes_twice_the_last_counts_and_fields_that_nobody_knows_are_passed_over() -> None:
    later = ProcessRequest(image=b"later").SerializeToString()
    unknown = b"\xf8\x07\x05" + b"\xf9\x07" + bytes(8) + b"\xfd\x07" + bytes(4)

    read = messages.read(ProcessRequest(image=b"first", name="a").SerializeToString() + unknown + later)

    assert (bytes(read.image), read.request.name) == (b"later", "a")


@given(data=st.binary(max_size=60))
def test_what_is_no_message_is_refused_and_never_more_than_that(data: bytes) -> None:
    with suppress(ValueError, DecodeError):
        read = messages.read(data)
        assert len(read.image) <= len(data)


@pytest.mark.parametrize("data", [b"\x0a\x05abc", b"\x0a\xff\xff\xff\xff", b"\x0b", b"\x0d\x01"])
def test_a_message_that_breaks_off_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"breaks off|wire type"):
        messages.read(data)
