"""One picture in, one picture out: what comes back is what a run would publish."""

from __future__ import annotations

import hashlib
import json
import re
import time
import zipfile
from email import message_from_bytes
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from tests import photographs
from tests.services import Served, Start

from imgflow_steps.pipeline import apply
from imgflow_steps.pipeline.model import parse

GREY = {"steps": [{"scale": {"width": 1024, "height": 768}}, "grayscale"]}
STEPS = [
    "scale:50%",
    "grayscale",
    "crop:1:1",
    "rotate:90",
    "split:2x2",
    "blur:median",
    "normalize",
    "augment",
    "infer",
]


def pictures(data: bytes, pipeline: dict[str, Any], name: str = "") -> list[bytes]:
    return [picture.data for picture in apply.process(data, parse(pipeline), name).pictures]


@pytest.fixture
def kept(start_service: Start, processor: Served, tmp_path: Path) -> Served:
    """A front with a store of its own."""
    processors = f"127.0.0.1:{processor.ports['grpc']}"
    return start_service("api", IMGFLOW_SERVE_API_PROCESSORS=processors, IMGFLOW_STORE=str(tmp_path / "store"))


@pytest.mark.parametrize("path", ["/v1/images", "/"])
def test_a_picture_comes_back_scaled_and_grey_with_the_bytes_of_a_run(front: Served, path: str) -> None:
    photo = photographs.jpeg(1, 1600, 1200)

    answer = front.client.post(path, content=photo)

    assert answer.status_code == 200, answer.text
    assert [answer.content] == pictures(photo, GREY)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-imgflow-source"] == "1600x1200 jpeg"
    assert answer.headers["x-imgflow-result"] == "1024x768"
    assert answer.headers["x-imgflow-cache"] == "miss"
    assert answer.headers["x-imgflow-processor"]
    assert set(re.findall(r"(\w+);dur=", answer.headers["server-timing"])) > {"body", "queue", "decode", "encode"}


def test_a_picture_may_come_as_a_file_of_a_form(front: Served) -> None:
    photo = photographs.jpeg(2, 1600, 1200)

    answer = front.client.post("/v1/images", files={"file": ("a.jpg", photo)})

    assert [answer.content] == pictures(photo, GREY)


def test_a_picture_may_come_in_pieces_without_a_length(front: Served) -> None:
    photo = photographs.jpeg(3, 1600, 1200)

    answer = front.client.post("/v1/images", content=(photo[at : at + 1000] for at in range(0, len(photo), 1000)))

    assert [answer.content] == pictures(photo, GREY)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
def test_every_step_and_format_gives_the_bytes_of_a_run(front: Served, processor: Served, step: str, form: str) -> None:
    photo = photographs.jpeg(4, 320, 240)
    pipeline = {"steps": [step], "output": form}
    query = {"pipeline": json.dumps(pipeline), "name": "a/b.jpg"}

    answer = front.client.post("/v1/images", params=query, content=photo, headers={"accept": "application/zip"})

    expected = pictures(photo, pipeline, "a/b.jpg")
    if len(expected) > 1:
        with zipfile.ZipFile(BytesIO(answer.content)) as archive:
            assert [archive.read(name) for name in archive.namelist()] == expected
    else:
        assert [answer.content] == expected
        assert answer.headers["content-type"] == f"image/{form}"
        straight = processor.client.post("/process", params=query, content=photo)
        assert [straight.content] == expected


@pytest.mark.parametrize(
    ("query", "pipeline"),
    [
        ({"width": 200, "height": 100, "grayscale": "false"}, {"steps": [{"scale": {"width": 200, "height": 100}}]}),
        (
            {"width": 200, "height": 100, "mode": "cover", "format": "png"},
            {"steps": [{"scale": {"width": 200, "height": 100, "mode": "cover"}}, "grayscale"], "output": "png"},
        ),
        ({"scale": "false", "quality": 30}, {"steps": ["grayscale"], "output": {"format": "jpeg", "quality": 30}}),
        ({"scale": "false", "grayscale": "false"}, {"steps": ["scale:100%"]}),
        (
            {"steps": "scale:50%,blur:median", "format": "webp"},
            {"steps": ["scale:50%", "blur:median"], "output": "webp"},
        ),
        ({"steps": "infer", "format": "png"}, {"steps": ["infer"], "output": "png"}),
    ],
)
def test_a_request_may_ask_for_something_else(front: Served, query: dict[str, Any], pipeline: dict[str, Any]) -> None:
    photo = photographs.jpeg(5, 640, 480)

    answer = front.client.post("/v1/images", params=query, content=photo)

    assert answer.status_code == 200, answer.text
    assert [answer.content] == pictures(photo, pipeline)
    assert ("x-imgflow-found" in answer.headers) == ("infer" in str(query))


@pytest.mark.parametrize("turned", [False, True])
def test_a_picture_that_fits_is_not_scaled_and_the_processor_is_told_so(front: Served, turned: bool) -> None:
    image = photographs.pixels(6, 700, 1000) if turned else photographs.pixels(6, 1000, 700)
    exif = image.getexif()
    exif[0x0112] = 6 if turned else 1
    image.save(out := BytesIO(), "JPEG", exif=exif)

    answer = front.client.post("/v1/images", content=out.getvalue())

    assert "scale" not in re.findall(r"(\w+);dur=", answer.headers["server-timing"])
    assert answer.headers["x-imgflow-result"] == "1000x700"
    assert [answer.content] == pictures(out.getvalue(), GREY)


def test_several_pictures_come_as_parts_with_their_names(front: Served) -> None:
    photo = photographs.jpeg(7, 640, 480)

    answer = front.client.post("/v1/images", params={"steps": "split:2x1,grayscale"}, content=photo)

    message = message_from_bytes(b"Content-Type: " + answer.headers["content-type"].encode() + b"\n\n" + answer.content)
    parts = message.get_payload()
    assert isinstance(parts, list)
    expected = pictures(photo, {"steps": ["split:2x1", "grayscale"]})
    assert [part.get_payload(decode=True) for part in parts] == expected  # type: ignore[union-attr]
    assert len({part.get_filename() for part in parts}) == 2  # type: ignore[union-attr]


def test_what_models_find_can_be_asked_for_without_pictures(front: Served) -> None:
    photo = photographs.jpeg(8, 640, 480)
    pipeline = {"steps": ["infer"], "output": "none"}

    answer = front.client.post("/v1/images", params={"pipeline": json.dumps(pipeline)}, content=photo)

    [found] = [dict(picture.found) for picture in apply.process(photo, parse(pipeline)).pictures]
    assert [one["found"] for one in answer.json()["pictures"]] == [found]


def test_the_same_picture_comes_from_the_cache_with_the_same_bytes_and_name(kept: Served) -> None:
    photo = photographs.jpeg(9, 1600, 1200)
    url = f"/v1/images/{hashlib.sha256(photo).hexdigest()}"

    assert kept.client.get(url).status_code == 404
    first = kept.client.post("/v1/images", content=photo)
    while kept.client.get(url).status_code == 404:  # it is written behind the answer
        time.sleep(0.05)
    again = kept.client.post("/v1/images", content=photo)
    anew = kept.client.post("/v1/images", content=photo, headers={"cache-control": "no-cache"})
    got = kept.client.get(url)

    assert [one.headers["x-imgflow-cache"] for one in (first, again, anew, got)] == ["miss", "hit", "bypass", "hit"]
    assert len({one.content for one in (first, again, anew, got)}) == 1
    assert len({one.headers["etag"] for one in (first, again, anew, got)}) == 1
    assert again.headers["x-imgflow-source"] == first.headers["x-imgflow-source"]
    assert "private" in first.headers["cache-control"]
    assert "public" in got.headers["cache-control"]
    known = kept.client.get(url, headers={"if-none-match": f'"other", {got.headers["etag"]}'})
    assert (known.status_code, known.content) == (304, b"")
    assert kept.client.get(url, params={"width": 77}).status_code == 404


@pytest.mark.parametrize("steps", ["scale:50%", "split:2x2"])
def test_other_forms_of_a_result_have_other_names_and_the_same_name_is_the_same_bytes(kept: Served, steps: str) -> None:
    photo = photographs.jpeg(13, 640, 480)
    url, query = f"/v1/images/{hashlib.sha256(photo).hexdigest()}", {"steps": steps}
    forms = ["*/*", "application/json", *(["application/zip"] if "split" in steps else [])]

    first = [kept.client.post("/v1/images", params=query, content=photo, headers={"accept": one}) for one in forms]
    while kept.client.get(url, params=query).status_code == 404:
        time.sleep(0.05)
    again = [kept.client.get(url, params=query, headers={"accept": one}) for one in forms]

    names = [one.headers["etag"] for one in first]
    assert len(set(names)) == len(forms)
    told = [[(one.headers["etag"], one.content) for one in answers] for answers in (first, again)]
    assert told[0] == told[1]
    for form in forms:
        known = [kept.client.get(url, params=query, headers={"accept": form, "if-none-match": one}) for one in names]
        assert [one.status_code for one in known] == [304 if one == form else 200 for one in forms]
        assert {one.headers["vary"] for one in known} == {"Accept"}


def test_several_pictures_come_whole_from_the_cache(kept: Served) -> None:
    photo = photographs.jpeg(10, 640, 480)
    ask = {"params": {"steps": "split:2x2,infer"}, "content": photo, "headers": {"accept": "application/json"}}

    first = kept.client.post("/v1/images", **ask)
    while (again := kept.client.post("/v1/images", **ask)).headers["x-imgflow-cache"] != "hit":
        time.sleep(0.05)

    assert again.json() == first.json()
    assert len(first.json()["pictures"]) == 4


def test_a_cache_that_was_harmed_is_made_anew_and_never_answered(kept: Served, tmp_path: Path) -> None:
    photo = photographs.jpeg(11, 1600, 1200)
    first = kept.client.post("/v1/images", content=photo)
    while kept.client.post("/v1/images", content=photo).headers["x-imgflow-cache"] != "hit":
        time.sleep(0.05)
    [picture] = (tmp_path / "store/cache").rglob("*.jpg")
    picture.write_bytes(photographs.jpeg(0))

    again = kept.client.post("/v1/images", content=photo)

    assert again.content == first.content
    assert again.headers["x-imgflow-cache"] == "miss"
    assert kept.metric("imgflow_service_cache_total") >= 3


def test_a_store_that_is_away_costs_the_hit_and_nothing_else(
    start_service: Start, processor: Served, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no directory")
    photo = photographs.jpeg(12, 1600, 1200)
    front = start_service(
        "api",
        IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{processor.ports['grpc']}",
        IMGFLOW_STORE=str(tmp_path / "file/store"),
    )

    assert [front.client.post("/v1/images", content=photo).content] == pictures(photo, GREY)
