"""Where an S3 server is, who asks, and how long to wait for it."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import certifi
from minio import Minio
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout

from imgflow_steps.contract import BadParametersError
from imgflow_steps.store import PATIENCE

CONNECTIONS = 64  # kept open for threads
BUSY = (429, 500, 502, 503, 504)
PAUSE = 10.0  # seconds between two attempts, at most
TOLD = 6  # attempts, some twelve seconds, after which a request that goes on says so
VARIABLES = {
    "endpoint": ("IMGFLOW_S3_ENDPOINT", "AWS_ENDPOINT_URL"),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "access_key": ("AWS_ACCESS_KEY_ID",),
    "secret_key": ("AWS_SECRET_ACCESS_KEY",),
    "session_token": ("AWS_SESSION_TOKEN",),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """``connect`` and ``read`` are seconds of silence, ``retries`` come after the first attempt of a request.

    ``patience`` is for nobody who waits: so many seconds more are asked for while no server takes the connection, or
    one says that it is busy.
    """

    endpoint: str = "https://s3.amazonaws.com"
    region: str = "us-east-1"
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    connect: float = 5.0
    read: float = 30.0
    retries: int = 4
    backoff: float = 0.2  # seconds before the second retry, doubled with each; jitter of the same size
    patience: float = 0.0

    def __post_init__(self) -> None:
        if not _is_server(self.endpoint):
            raise BadParametersError(  # the address is not shown: it may hold a password
                "the S3 endpoint (IMGFLOW_S3_ENDPOINT or AWS_ENDPOINT_URL) is an address such as "
                "http://minio:9000, without a path or a password"
            )
        if bool(self.access_key) != bool(self.secret_key):
            raise BadParametersError("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises BadParametersError when a variable cannot be."""
        given: dict[str, Any] = {
            name: environment[variable].strip()
            for name, variables in VARIABLES.items()
            for variable in reversed(variables)  # the first one wins
            if environment.get(variable)
        }
        return cls(**given, patience=_seconds(environment.get(PATIENCE) or "0"))

    def client(self) -> Minio:
        """A client with connections of its own; safe for threads, not for a forked process."""
        parts = urlsplit(self.endpoint)
        return Minio(
            parts.netloc,
            access_key=self.access_key or None,
            secret_key=self.secret_key or None,
            session_token=self.session_token or None,
            secure=parts.scheme == "https",
            region=self.region,  # or the client asks for it first, which needs one more right
            http_client=self._pool(),
        )

    def _pool(self) -> PoolManager:
        return PoolManager(
            maxsize=CONNECTIONS,
            timeout=Timeout(connect=self.connect, read=self.read),
            retries=_Retry(
                total=self.retries + math.ceil(self.patience / PAUSE),
                read=self.retries,  # one that takes the connection and then says nothing is given up as ever
                redirect=False,
                status_forcelist=BUSY,
                allowed_methods=None,  # all that are sent here may be sent twice
                backoff_factor=self.backoff,
                backoff_jitter=self.backoff,
                backoff_max=PAUSE,
                respect_retry_after_header=False,  # it may ask for hours
            ),
            ca_certs=os.environ.get("AWS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or certifi.where(),
        )


class _Retry(Retry):
    """Says, once per request, that it is going to take long."""

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """See urllib3."""
        if len(self.history) == TOLD:
            said = self.history[-1].error or f"HTTP status {self.history[-1].status}"
            logging.getLogger(__name__).warning("the store does not answer, asking again for minutes: %s", said)
        super().sleep(response)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise BadParametersError(f"{PATIENCE} is a number of seconds, not {text!r}")
    return seconds


def _is_server(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host_only = f"{parts.scheme}://{parts.netloc}" == address.removesuffix("/")
        named = bool(parts.hostname and (parts.port is None or parts.port > 0))
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and host_only and named and "@" not in parts.netloc
