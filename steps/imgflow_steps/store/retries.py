"""One operation of a store on S3, asked again where the answer breaks off, is spoilt or is none of S3."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from xml.etree.ElementTree import ParseError

from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError, MaxRetryError

from imgflow_steps.store import UnavailableError, UnreadableError
from imgflow_steps.store.answers import FAULTS, explain, silent
from imgflow_steps.store.asking import Silence, SpoiltError

if TYPE_CHECKING:
    from imgflow_steps.store.asking import Connections
    from imgflow_steps.store.settings import S3Settings

T = TypeVar("T")

AWAY = 60.0  # seconds for which a server that was silent is asked only briefly
UNREADABLE = 8  # objects, one after another, that came spoilt: then it is not theirs
SPOILT = "asked for again and again it was the same: see whether the server's disk, or a proxy before it, damages it"
AGAIN = (HTTPError, MinioException, ParseError, ValueError)
TRANSIT = {  # S3's words for a request that did not come as it was sent, or that may be answered better later
    "XAmzContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
    "BadDigest",
    "InvalidDigest",
    "IncompleteBody",
    "RequestTimeout",
    "InternalError",
    "OperationAborted",
    "NoSuchUpload",  # it was completed, and the answer was lost
}


class Retries:
    """How often and how long one server is asked, which is called ``place`` in errors."""

    def __init__(self, place: str, settings: S3Settings, connections: Connections) -> None:
        self._place, self._settings, self._connections = place, settings, connections
        self._away = 0.0  # until then the server, silent a moment ago, is asked only briefly
        self._unreadable = 0  # objects in sequence that came spoilt

    def doubt(self) -> None:
        """Ask only briefly for a while: the server was silent."""
        if not self._settings.patience:
            self._away = time.monotonic() + AWAY

    def readable(self) -> None:
        """An object came whole: what was spoilt before was not the server's fault."""
        self._unreadable = 0

    def ask(self, key: str, request: Callable[[], T]) -> T:
        """What a request gives. An answer that breaks off, is spoilt or is none of S3 is asked for again.

        Raises StoreError, the kind that fits.
        """
        settings = self._settings
        silence = Silence(settings.budget, short=self._gone(), gone=self._gone)
        with self._faults(key), self._connections.asking(silence):
            for attempt in range(settings.retries + 1):
                try:
                    answer = request()
                except AGAIN as error:
                    silence.lapse()
                    if attempt == settings.retries or not (_passes(error) and silence.lasts(settings.read)):
                        if silent(error) or silence.spent > settings.read:
                            self.doubt()
                        raise
                else:
                    if silence.proved:
                        self._away = 0.0
                    return answer
                time.sleep(settings.backoff * (2**attempt - 1 + random.random()))  # noqa: S311 - jitter
        raise AssertionError  # the last attempt returns or raises

    def _gone(self) -> bool:
        """Whether the server was silent a moment ago: then what is asked is asked once, and briefly."""
        return time.monotonic() < self._away

    @contextmanager
    def _faults(self, key: str) -> Iterator[None]:
        try:
            yield
        except SpoiltError as error:
            self._unreadable += 1
            kind = UnreadableError if self._unreadable < UNREADABLE else UnavailableError
            raise kind(f"{self._place}: {key!r}: {error}; {SPOILT}") from error
        except FAULTS as error:
            raise explain(error, self._place, key) from error
        except (ParseError, ValueError) as error:
            raise UnavailableError(
                f"{self._place}: {key!r}: the answer cannot be read ({error}); is this S3, and nothing between?"
            ) from error


def _passes(error: Exception) -> bool:
    """Whether the same request may well be answered better the next time."""
    return error.code in TRANSIT if isinstance(error, S3Error) else not isinstance(error, MaxRetryError)
