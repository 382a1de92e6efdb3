"""Problems as gRPC says them, and back: a status, and the code itself in the trailer."""

from __future__ import annotations

from typing import Any

import grpc

from imgflow_service.wire.problems import Problem

CODE, RETRY = "imgflow-code", "retry-after-ms"
STATUS = {
    "bad-request": grpc.StatusCode.INVALID_ARGUMENT,
    "bad-pipeline": grpc.StatusCode.INVALID_ARGUMENT,
    "unauthorized": grpc.StatusCode.UNAUTHENTICATED,
    "url-refused": grpc.StatusCode.PERMISSION_DENIED,
    "not-found": grpc.StatusCode.NOT_FOUND,
    "rate": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "busy": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "url-failed": grpc.StatusCode.UNAVAILABLE,
    "url-timeout": grpc.StatusCode.DEADLINE_EXCEEDED,
    "timeout": grpc.StatusCode.DEADLINE_EXCEEDED,
    "step-error": grpc.StatusCode.INTERNAL,
    "internal": grpc.StatusCode.INTERNAL,
}


Trailer = tuple[tuple[str, str], ...]


def said(problem: Problem, more: Trailer = ()) -> tuple[grpc.StatusCode, str, Trailer]:
    """Status, details and trailer of a problem; what has no status of its own is a rejection: FAILED_PRECONDITION.

    ``more`` is what the trailer says besides.
    """
    trailer = [*more, (CODE, problem.code)]
    if problem.retry_after:
        trailer.append((RETRY, str(round(problem.retry_after * 1000))))
    return STATUS.get(problem.code, grpc.StatusCode.FAILED_PRECONDITION), problem.detail, tuple(trailer)


def meant(error: grpc.aio.AioRpcError) -> Problem:
    """The problem behind what a call raised."""
    trailer: dict[str, Any] = dict(error.trailing_metadata() or ())
    details = error.details() or ""
    if code := trailer.get(CODE):
        return Problem(str(code), details, retry_after=float(trailer.get(RETRY, 0)) / 1000)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Problem("timeout", "the picture was not done in time")
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return Problem("busy", "no processor can be reached just now", retry_after=1.0)
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Problem("too-many-bytes", details)
    return Problem("internal", f"a processor answers {error.code().name}: {details}")
