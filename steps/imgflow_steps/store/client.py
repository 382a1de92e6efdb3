"""MinIO's client of a server, with our own connections."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from minio import Minio
from minio.credentials.providers import StaticProvider

from imgflow_steps.store.asking import Connections, connections
from imgflow_steps.store.settings import PAYER, S3Settings


def open_client(settings: S3Settings, used: Connections | None = None) -> Minio:
    """A client, as a rule with connections of its own; safe for threads, not for a forked process."""
    parts = urlsplit(settings.endpoint)
    static = (
        StaticProvider(settings.access_key, settings.secret_key, settings.session_token or None)
        if settings.access_key
        else None
    )
    return (_Requester if settings.payer else Minio)(
        parts.netloc,
        credentials=settings.lender or static,
        secure=parts.scheme == "https",
        region=settings.region,  # or the client asks for it first, which needs one more right
        http_client=used or connections(settings),
    )


class _Requester(Minio):
    """A client that says with each request, under its signature, that whoever asks pays."""

    def _build_headers(self, host: str, headers: Any = None, *args: Any, **kw: Any) -> Any:
        return super()._build_headers(host, {**(headers or {}), "x-amz-request-payer": PAYER}, *args, **kw)
