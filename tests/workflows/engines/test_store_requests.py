"""What a run asks of its store: two requests for an image, and the rest by the shard."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from tests import servers
from tests.local_runs import dataset, submit
from tests.thorough import mostly_thorough

from imgflow_steps.store import open_store

IMAGE = re.compile(r"^(GET|PUT) /[^/]+/(datasets|results)/\S*/images/[^?]+[.]jpg$")

SOMETIMES = re.compile(r"/rows/|/thumbs/|[?]")  # every few seconds, of the slowest images, and pages of listings


@pytest.fixture(scope="module")
def proxy(moto_server: servers.Server) -> Iterator[servers.Proxy]:
    proxy = servers.Proxy(moto_server)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("layout", mostly_thorough(["steps", "fused"], always={"fused"}))
def test_an_image_is_read_once_and_written_once(
    moto_server: servers.Server, proxy: servers.Proxy, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    for name, value in moto_server.behind(proxy).environment.items():
        monkeypatch.setenv(name, value)
    store = open_store(moto_server.new_bucket())
    dataset(store, 30)
    proxy.requests.clear()

    submit(store, "asked", layout=layout, shard_size=10, samples=0)

    asked = Counter(proxy.requests)
    images = {request: times for request, times in asked.items() if IMAGE.match(request)}
    assert len([request for request in images if request.startswith("GET")]) == 30
    assert len([request for request in images if request.startswith("PUT")]) == 30
    assert set(images.values()) == {1}
    others = {request for request in asked.keys() - images.keys() if not SOMETIMES.search(request)}
    assert len(others) < 50  # of three shards, and of the run
