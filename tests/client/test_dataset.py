"""A run's pictures by number, as loaders of training data take them: here, in their processes, and from a bucket."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.client.conftest import STEPS

import imgflow
from imgflow_workflows.errors import ImgflowError

if TYPE_CHECKING:
    from PIL.Image import Image


def shape(picture: Image, columns: dict[str, Any]) -> tuple[str, str, tuple[int, ...]]:
    return columns["image"], columns["piece"], np.asarray(picture).shape


def asked(data: imgflow.Dataset[Any], numbers: list[int]) -> list[Any]:
    """What a loader does in each of its processes."""
    return data.__getitems__(numbers)


def test_a_dataset_is_the_pictures_of_a_run_in_their_order_beside_their_columns(run: imgflow.Run) -> None:
    data = run.dataset(columns=["results.image", "season"], where="gender = 'Women'")

    pictures = list(run.images(where="gender = 'Women'"))
    assert len(data) == len(pictures) > 2
    assert [(columns["image"], picture.tobytes()) for picture, columns in data] == [
        (name.partition("~")[0], picture.tobytes()) for name, picture in pictures
    ]
    seasons = dict(run.results(columns=["image", "season"]).itertuples(index=False))
    assert {columns["season"] for _, columns in data} <= set(seasons.values())
    assert data[0][1]["season"] == seasons[data[0][1]["image"]]


def test_without_columns_there_are_those_of_the_results(run: imgflow.Run) -> None:
    [(_, columns)] = run.dataset(limit=1)

    assert {"image", "piece", "width", "found_sharpness", "output_key"} <= columns.keys()


def test_a_dataset_counts_as_a_sequence_does(run: imgflow.Run) -> None:
    data = run.dataset(transform=shape)

    assert data[-1] == data[len(data) - 1]
    assert list(data[1:4]) == [data[1], data[2], data[3]]
    assert list(data[::-1]) == list(reversed(data))
    assert data.__getitems__([2, 0, 2]) == [data[2], data[0], data[2]]
    assert data.__getitems__([]) == []
    assert len(data[3:3]) == 0
    with pytest.raises(IndexError):
        data[len(data)]


def failing(_picture: Image, columns: dict[str, Any]) -> str:
    """A transform that looks for what is not there."""
    return str(columns["image"].split("/")[99])


def test_a_fault_of_the_transform_is_not_taken_for_the_end(run: imgflow.Run) -> None:
    with pytest.raises(IndexError):
        list(run.dataset(transform=failing))


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_processes_of_a_loader_read_the_same(run: imgflow.Run, method: str) -> None:
    data = run.dataset(transform=shape)
    with ProcessPoolExecutor(2, get_context(method)) as pool:
        found = list(pool.map(asked, [data] * 3, [[0], [1, 2], [3]]))

    assert found == [[data[0]], [data[1], data[2]], [data[3]]]


@pytest.mark.minio
def test_a_copy_of_one_on_a_server_holds_no_credentials_and_reads_the_same(
    shop: Path, minio_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in minio_server.environment.items():
        monkeypatch.setenv(name, value)
    with imgflow.connect(store=minio_server.new_bucket(), workers=1) as flow:
        flow.ingest(shop, "Fashion")
        data = flow.submit("Fashion", steps=STEPS).dataset(transform=shape)
        copy = pickle.dumps(data)

        assert minio_server.environment["AWS_SECRET_ACCESS_KEY"].encode() not in copy
        assert list(pickle.loads(copy)) == list(data)
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            assert pool.submit(asked, data, [0, 1]).result() == [data[0], data[1]]


def test_a_picture_that_is_gone_is_said_when_it_is_asked_for(flow: imgflow.Flow) -> None:
    data = flow.submit("Fashion", steps="scale:9x9", run="gone").dataset()
    key = data[0][1]["output_key"]
    flow._session.store.delete([key])

    with pytest.raises(ImgflowError, match=key):
        data[0]
    assert data[1][0].width <= 9
