"""What an S3 server or the way to it says when something is wrong, as a StoreError that says what to do."""

from __future__ import annotations

import re
from http import HTTPStatus

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError, MaxRetryError, ProxyError, ResponseError

from imgflow_steps.store import (
    ChangedError,
    DeniedError,
    KeyRefusedError,
    NotFoundError,
    SilentError,
    StoreError,
    UnavailableError,
    UnwritableError,
    tls,
)
from imgflow_steps.store.asking import StrangeError
from imgflow_steps.store.causes import said

CREDENTIALS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile that AWS_PROFILE names"
REGION = "set AWS_REGION to the bucket's region"
MEND = {
    "NoSuchBucket": "create the bucket, or correct its name or the endpoint",
    "AccessDenied": f"let these credentials list, read, write and delete there, or {CREDENTIALS}",
    "InvalidAccessKeyId": CREDENTIALS,
    "SignatureDoesNotMatch": CREDENTIALS,
    "ExpiredToken": "get new credentials, AWS_SESSION_TOKEN among them",
    "InvalidToken": "get new credentials, AWS_SESSION_TOKEN among them",
    "InvalidTokenId": "get new credentials, AWS_SESSION_TOKEN among them",
    "RequestTimeTooSkewed": "set this machine's clock",
    "AuthorizationHeaderMalformed": REGION,
    "PermanentRedirect": REGION,
    "Redirect": REGION,
}
KINDS: dict[str, type[StoreError]] = {
    "NoSuchKey": NotFoundError,
    "NoSuchObject": NotFoundError,
    "NoSuchVersion": NotFoundError,
    "PreconditionFailed": ChangedError,
    "KeyTooLongError": KeyRefusedError,
    "XMinioInvalidObjectName": KeyRefusedError,
    "XMinioInvalidResourceName": KeyRefusedError,
    "XMinioParentIsObject": KeyRefusedError,
    "XMinioObjectExistsAsDirectory": KeyRefusedError,
    "InternalError": UnavailableError,  # these come with a status that blames the client, or with any
    "RequestTimeout": UnavailableError,
    "ServiceUnavailable": UnavailableError,
    "SlowDown": UnavailableError,
    "OperationAborted": UnavailableError,
}
MENDS_BY_KIND: dict[type[StoreError], str] = {
    NotFoundError: "list it again",
    ChangedError: "it was replaced meanwhile; list it again",
    KeyRefusedError: "rename it",
    DeniedError: "ask the operator of this server",
    UnwritableError: "free some space on the server, or raise its quota, and submit again",
    UnavailableError: "see whether the server is well, then submit again",
}
FULL = re.compile(r"(Storage|Disk|Drive)Full$|QuotaExceeded$|^Insufficient(Storage|Capacity)$")  # of any server
FAULTS = (MinioException, HTTPError)


def explain(error: Exception, place: str, key: str) -> StoreError:
    """One of ``FAULTS`` as the StoreError to raise; ``place`` names bucket and endpoint, never credentials."""
    if isinstance(error, S3Error):
        return refused(error.code or "", error.message or "", place, key, error.response.status)
    if isinstance(error, InvalidResponseError | StrangeError):
        return UnavailableError(f"{place}: {key!r}: {_strange(error)}")
    if isinstance(error, ServerError):
        return refused("", f"HTTP status {error.status_code}", place, key, error.status_code)
    kind = SilentError if silent(error) else UnavailableError
    return kind(f"{place}: {key!r}: {_unanswered(error)}")


def _strange(error: Exception) -> str:
    if isinstance(error, InvalidResponseError) and tls.WANTED in str(error):
        return "TLS: the server wants it; write the endpoint with https://"
    what = f" ({error})" if isinstance(error, StrangeError) else ""
    return (
        f"the answer is not an answer of S3{what}; is this the address of the S3 server itself? "
        "(MinIO's console listens on another port)"
    )


def _unanswered(error: Exception) -> str:
    if found := tls.fault(error):
        return tls.said(found)
    if isinstance(error, MaxRetryError) and isinstance(error.reason, ProxyError):
        return f"{said(error)}, after all retries; check HTTPS_PROXY and HTTP_PROXY, or name the server in NO_PROXY"
    return f"{said(error)}, after all retries; check that the server runs and the endpoint is right"


def silent(error: Exception) -> bool:
    """Whether a server was given up that cannot be reached or says nothing, and not one that is busy."""
    return isinstance(error, MaxRetryError) and not isinstance(error.reason, ResponseError)


def refused(code: str, message: str, place: str, key: str, status: int) -> StoreError:
    """An answer with S3's error code and HTTP's status."""
    lasting = 400 <= status < 500 and status != 429  # noqa: PLR2004 - the request is at fault, not the server
    full = status == HTTPStatus.INSUFFICIENT_STORAGE or FULL.search(code)
    kind = UnwritableError if full else KINDS.get(code, DeniedError if lasting else UnavailableError)
    mend = MEND.get(code) or MENDS_BY_KIND[kind]
    said = f"{message.rstrip('.')} ({code})" if code else message
    return kind(f"{place}: {key!r}: {said}; {mend}")
