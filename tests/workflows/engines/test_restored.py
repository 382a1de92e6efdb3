"""A store that is lost and copied back, as docs/operations.md says: what was done is known again."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.local_runs import dataset, pictures, submit

from imgflow_steps.records import keys
from imgflow_steps.store import Store, open_store
from imgflow_steps.store.client import open_client

if TYPE_CHECKING:
    from minio import Minio
    from tests.servers import Server

pytestmark = pytest.mark.minio

PART = 5 << 20
LARGE = "large.png"


def noise(side: int) -> bytes:
    """A photograph that no encoder makes small."""
    file = BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def copy(client: Minio, source: str, target: str) -> None:
    """Every object, read and written by a client: each in one piece."""
    for found in client.list_objects(source, recursive=True):
        assert found.object_name
        answer = client.get_object(source, found.object_name)
        data = answer.read()
        answer.release_conn()
        client.put_object(target, found.object_name, BytesIO(data), len(data), part_size=64 << 20)


@pytest.fixture
def lost_and_restored(minio_server: Server, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Store]:
    """A store with a run, and a copy of it in another bucket; one image was sent in two parts before."""
    for name, value in minio_server.environment.items():
        monkeypatch.setenv(name, value)
    first, second = minio_server.new_bucket(), minio_server.new_bucket()
    store, client = open_store(first), open_client(minio_server.settings)
    dataset(store, 5)
    large = noise(1500)
    assert len(large) > PART
    key = keys.images("Demo") + LARGE
    client.put_object(first.removeprefix("s3://"), key, BytesIO(large), len(large), part_size=PART)
    submit(store, "before")
    copy(client, first.removeprefix("s3://"), second.removeprefix("s3://"))
    return store, open_store(second)


def test_a_copy_by_a_client_knows_all_but_what_was_sent_in_several_parts(
    lost_and_restored: tuple[Store, Store],
) -> None:
    lost, restored = lost_and_restored

    again = submit(restored, "after")

    assert (again.counts.cached, again.counts.processed) == (5, 1)
    assert pictures(restored, "after") == pictures(lost, "before")
    assert submit(restored, "at-last").counts.cached == 6


def test_images_that_were_copied_back_without_their_results_are_computed_again(
    lost_and_restored: tuple[Store, Store],
) -> None:
    lost, restored = lost_and_restored
    restored.delete([found.key for found in restored.entries("results/")])

    again = submit(restored, "after")

    assert again.counts.processed == 6
    assert pictures(restored, "after") == pictures(lost, "before")
