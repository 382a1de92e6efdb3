"""Tell a webhook how a run ended: a few tries, and no way to change how it ended.

The address is often the secret itself, so neither messages nor logs say more of it than its host.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import certifi
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from imgflow_steps.contract import BadParametersError

if TYPE_CHECKING:
    from imgflow_steps.run import Summary

URL, SECRET = "IMGFLOW_NOTIFY_URL", "IMGFLOW_NOTIFY_SECRET"
SIGNATURE = "X-Imgflow-Signature"
TRIES = 4
TIMEOUT = Timeout(connect=5, read=10)  # seconds, of each try
AGAIN = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Webhook:
    """An http or https address that takes a run's summary; ``secret`` signs what is sent.

    Raises BadParametersError, without the address, when it is none.
    """

    url: str = field(repr=False)
    secret: str = field(default="", repr=False)
    pause: float = 1.0  # seconds before the second try, doubled for each further one

    def __post_init__(self) -> None:
        if not (self.url.isascii() and self.url.isprintable() and " " not in self.url and self.host):
            raise BadParametersError("the webhook's address is none: it begins with https:// or http:// and a host")

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
        body = notice(summary)
        headers = {"Content-Type": "application/json", "User-Agent": "imgflow"}
        if self.secret:
            headers[SIGNATURE] = f"sha256={hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()}"
        bundle = os.environ.get("SSL_CERT_FILE") or certifi.where()
        with PoolManager(ca_certs=bundle, timeout=TIMEOUT, retries=False) as http:
            for attempt in range(TRIES):
                if attempt:
                    time.sleep(self.pause * 2 ** (attempt - 1))
                why, again = self._post(http, body, headers)
                if not again:
                    break
        return f"the webhook at {self.host} {why}" if why else ""

    def _post(self, http: PoolManager, body: bytes, headers: Mapping[str, str]) -> tuple[str, bool]:
        try:
            answer = http.request("POST", self.url, body=body, headers=headers, preload_content=False)
        except HTTPError as error:
            return f"was not reached: {type(error).__name__}", True  # its text holds the address
        answer.close()
        if answer.status < 300:  # noqa: PLR2004 - HTTP
            return "", False
        return f"answers HTTP status {answer.status}", answer.status in AGAIN


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
