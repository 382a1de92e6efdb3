"""A step that fails by a fault of code is told as that, as every other problem, and the next request is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import photographs
from tests.services import Served, Start, serving

PHOTO = photographs.jpeg(1, 64, 48)
CV2 = """
def medianBlur(*_):
    raise RuntimeError("this library is broken")
"""


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    with serving() as start:
        yield start


@pytest.fixture(scope="module")
def broken(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A processor where the library behind `blur` fails whatever it is asked for."""
    folder: Path = tmp_path_factory.mktemp("broken")
    (folder / "cv2.py").write_text(CV2)
    return start("processor", PYTHONPATH=str(folder), IMGFLOW_SERVE_PROCESSOR_WORKERS="1")


def test_a_step_that_fails_is_a_step_error_and_costs_its_picture_alone(start: Start, broken: Served) -> None:
    front = start("api", IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{broken.ports['grpc']}")

    failed = front.client.post("/v1/images", params={"steps": "blur:median:3"}, content=PHOTO)
    assert (failed.status_code, failed.json()["code"]) == (500, "step-error"), failed.text
    assert "blur" in failed.json()["detail"]
    assert failed.headers["cache-control"] == "no-store"
    assert "etag" not in failed.headers

    assert front.client.post("/v1/images", params={"steps": "scale:50%"}, content=PHOTO).status_code == 200
