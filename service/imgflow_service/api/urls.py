"""Pictures that are named by URL: fetched by the one guarded fetcher, from hosts that are named, or not at all."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from typing import TYPE_CHECKING

from imgflow_service.wire import pipelines
from imgflow_service.wire.problems import Problem
from imgflow_steps.store.web import NotFetchedError, Web, fetched, named_by_url, public

if TYPE_CHECKING:
    from imgflow_service.settings import ServiceSettings
    from imgflow_steps.store.web import Address

THREADS = 8
LONGEST = 64 << 10  # bytes of a body that names a URL: all else waits while it is read as JSON
CODES = {"refused": "url-refused", "failed": "url-failed", "timeout": "url-timeout", "too-large": "too-many-bytes"}


class Urls:
    """Fetches, a few at a time."""

    def __init__(self, settings: ServiceSettings) -> None:
        networks = [ip_network(one) for one in settings.url.networks]

        def allowed(address: Address) -> bool:
            return public(address) or any(address in network for network in networks)

        own = settings.url
        self._web = Web(frozenset(own.hosts), settings.limits.bytes, own.seconds, allowed)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="url")

    async def fetch(self, url: str, seconds: float) -> bytes:
        """The picture at a URL. Raises Problem: url-refused, url-failed, url-timeout, too-many-bytes."""
        if not self._web.hosts:
            raise Problem("url-refused", "this service fetches no URLs; send the picture itself")
        try:
            fetching = asyncio.get_running_loop().run_in_executor(self._threads, _fetch, self._web, url)
            return await asyncio.wait_for(fetching, seconds)
        except NotFetchedError as error:
            raise Problem(CODES[error.code], f"the URL: {error}") from None
        except TimeoutError:
            raise Problem("url-timeout", f"the URL was not read within {seconds:g} seconds") from None


def read(body: bytes) -> str:
    """The URL of a JSON body. Raises Problem."""
    try:
        document = pipelines.loads(body)
    except (ValueError, RecursionError):
        detail = 'the body is not JSON in which each key is given once; it has to be {"url": "https://…"}'
        raise Problem("bad-request", detail) from None
    if not isinstance(document, dict) or set(document) != {"url"} or not isinstance(document["url"], str):
        raise Problem("bad-request", 'the body is {"url": "https://…"} and nothing else')
    url: str = document["url"]
    if any("\ud800" <= one <= "\udfff" for one in url):
        raise Problem("bad-request", "the URL holds half a character; send it in UTF-8")
    return url


def name(url: str) -> str:
    """What a picture is called by its URL."""
    return named_by_url(url).rpartition("/")[2]


def _fetch(web: Web, url: str) -> bytes:
    with fetched(web, url) as path:
        return path.read_bytes()
