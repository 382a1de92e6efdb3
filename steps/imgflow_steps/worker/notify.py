"""Tell a webhook how a run ended: a few tries, and no way to change how it ended.

The address is often the secret itself, so neither messages nor logs say more of it than its host.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imgflow_steps.contract.redaction import conceal
from imgflow_steps.contract.step import BadParametersError

if TYPE_CHECKING:
    from imgflow_steps.records.summary import Summary

URL, SECRET = "IMGFLOW_NOTIFY_URL", "IMGFLOW_NOTIFY_SECRET"
SIGNATURE = "X-Imgflow-Signature"
TRIES = 4
CONNECT, READ = 5, 10  # seconds, of each try
AGAIN = {408, 425, 429, 500, 502, 503, 504}
STATUS = "answers HTTP status {}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An http or https address that takes a run's summary; ``secret`` signs what is sent.

    Raises BadParametersError, without the address, when it is none.
    """

    url: str = field(repr=False)
    secret: str = field(default="", repr=False)
    pause: float = 1.0  # seconds: twice as many before the third try, doubled for each further one

    def __post_init__(self) -> None:
        path = self.url.partition("://")[2].partition("/")[2]
        conceal(self.url, self.secret, path)  # the path is what an error of the client shows of it
        if not (self.url.isascii() and self.url.isprintable() and " " not in self.url and self.host):
            raise BadParametersError(
                "the webhook's address, of --notify or IMGFLOW_NOTIFY_URL, is not a web address: "
                "that begins with https:// or http:// and a host"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], url: str = "") -> Webhook | None:
        """The webhook at ``url`` or else of the environment, if any."""
        url = url or environment.get(URL, "").strip()
        return cls(url, environment.get(SECRET, "").strip()) if url else None

    @property
    def host(self) -> str:
        """What may be said of it; "" when the address is none."""
        try:
            parts = urlsplit(self.url)
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            return ""
        return f"{parts.hostname}{port}" if parts.scheme in {"http", "https"} and parts.hostname else ""

    def tell(self, summary: Summary) -> str:
        """POST the summary. Returns why it was not taken, "" when it was; raises nothing.

        Redirects are not followed. A receiver may get the same twice: ``run`` and ``ended`` tell.
        """
        # An HTTP client takes long to load, and few runs tell anybody.
        import certifi  # noqa: PLC0415
        from urllib3 import PoolManager, Retry, Timeout  # noqa: PLC0415
        from urllib3.exceptions import HTTPError, MaxRetryError  # noqa: PLC0415

        body = notice(summary)
        headers = {"Content-Type": "application/json", "User-Agent": "imgflow"}
        if self.secret:
            headers[SIGNATURE] = f"sha256={hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()}"
        bundle = os.environ.get("SSL_CERT_FILE") or certifi.where()
        retries = Retry(
            TRIES - 1,
            redirect=False,
            status_forcelist=AGAIN,
            allowed_methods=None,
            backoff_factor=self.pause,
            respect_retry_after_header=False,
        )
        with PoolManager(ca_certs=bundle, timeout=Timeout(connect=CONNECT, read=READ), retries=retries) as http:
            try:
                answer = http.request("POST", self.url, body=body, headers=headers, redirect=False)
            except MaxRetryError as error:  # its text holds the address
                return f"the webhook at {self.host} {_why(error.reason)}"
            except HTTPError as error:
                return f"the webhook at {self.host} was not reached: {type(error).__name__}"
        return "" if answer.status < 300 else f"the webhook at {self.host} {STATUS.format(answer.status)}"  # noqa: PLR2004 - HTTP


def _why(reason: Exception | None) -> str:
    """What the last try met, without the address."""
    from urllib3.exceptions import ResponseError  # noqa: PLC0415 - as above

    if isinstance(reason, ResponseError):
        return STATUS.format(re.sub(r"\D", "", str(reason)))
    return f"was not reached: {type(reason).__name__}"


def notice(summary: Summary) -> bytes:
    """The summary as JSON, with ``text`` in words, as chat programs show it."""
    return json.dumps({"text": text(summary), **summary.model_dump(mode="json")}).encode()


def text(summary: Summary) -> str:
    """One line. Names come from other people: no control characters, and nothing that Slack takes for a command."""
    counts = summary.counts
    said = (
        f"Run {summary.run} of {summary.municipality} {summary.status}: {counts.listed:,} images ="
        f" {counts.processed:,} processed + {counts.cached:,} cached + {counts.rejected:,} rejected"
        f" + {counts.failed:,} failed."
    )
    if summary.message:
        said += f" {summary.message}"
    plain = "".join(c if c.isprintable() else " " for c in said)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
