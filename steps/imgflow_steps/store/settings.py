"""Where an S3 server is, who asks, and how long to wait for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from minio import Minio

from imgflow_steps.contract.redaction import conceal
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import PATIENCE
from imgflow_steps.store.asking import Connections
from imgflow_steps.store.variables import VARIABLES

READ = 15.0  # seconds for one answer
SILENT = 35.0  # seconds without an answer, or twice ``read``, after which whoever waits is told
MOST = 60.0  # seconds for one answer, where nobody waits
ETAGS = ("md5", "opaque")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """``connect`` and ``read`` are seconds of silence, ``retries`` come after the first attempt of a request.

    ``patience``: extra seconds to keep retrying an unreachable or busy server; 0 when a person is waiting.
    """

    endpoint: str = "https://s3.amazonaws.com"
    region: str = "us-east-1"
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    connect: float = 5.0
    read: float = READ
    retries: int = 4
    backoff: float = 0.2  # seconds before the second retry, doubled with each; jitter of the same size
    patience: float = 0.0
    etags: str = "md5"  # what they are where nothing says otherwise

    def __post_init__(self) -> None:
        conceal(self.secret_key, self.session_token)
        for name in ("access_key", "secret_key", "session_token"):
            value = getattr(self, name)
            if not (value.isascii() and value.isprintable() and " " not in value):
                raise BadParametersError(
                    f"{VARIABLES[name][0]} holds a line break or a character that no key has; copy it anew, as one line"
                )
        if not _is_server(self.endpoint):
            raise BadParametersError(  # the address is not shown: it may hold a password
                "the S3 endpoint (IMGFLOW_S3_ENDPOINT or AWS_ENDPOINT_URL) is an address such as "
                "http://minio:9000, without a path or a password"
            )
        if bool(self.access_key) != bool(self.secret_key):
            raise BadParametersError("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither")
        if self.etags not in ETAGS:
            raise BadParametersError(f"IMGFLOW_S3_ETAG is one of {', '.join(ETAGS)}, not {self.etags!r}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> S3Settings:
        """Raises BadParametersError when a variable cannot be."""
        given: dict[str, Any] = {
            name: environment[variable].strip()
            for name, variables in VARIABLES.items()
            for variable in reversed(variables)
            if environment.get(variable)
        }
        patience = _seconds(environment.get(PATIENCE) or "0")
        return cls(**given, patience=patience, read=max(READ, min(MOST, patience / 4)))

    @property
    def budget(self) -> float:
        """Seconds that one operation of the store may hear nothing before it is given up."""
        return max(SILENT, self.patience)

    def client(self, connections: Connections | None = None) -> Minio:
        """A client, as a rule with connections of its own; safe for threads, not for a forked process."""
        parts = urlsplit(self.endpoint)
        return Minio(
            parts.netloc,
            access_key=self.access_key or None,
            secret_key=self.secret_key or None,
            session_token=self.session_token or None,
            secure=parts.scheme == "https",
            region=self.region,  # or the client asks for it first, which needs one more right
            http_client=connections or Connections(self),
        )


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
