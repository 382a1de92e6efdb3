"""Outlines are laid over a picture in its page, from the rows, and show nothing of what is covered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests import finders, leaks, local_runs, photographs
from tests.services import SECONDS
from tests.workflows.explorer.test_explorer import serving

from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import boxes, keys
from imgflow_steps.records.boxes import ManualBox, Marked
from imgflow_steps.records.findings import Box
from imgflow_workflows.explorer.index import Index
from imgflow_workflows.explorer.overlay import Outlines

if TYPE_CHECKING:
    from pathlib import Path

    from imgflow_steps.store import Store

FACE = ("face", 0.9, 16.0, 16.0, 24.0, 16.0)
IMAGE = {"municipality": "Demo", "image": "a.jpg"}


def asked(store: Store, folder: Path, *steps: Any, output: str = "jpeg", finds: bool = True) -> tuple[str, int, int]:
    """An image's page after a run, and how its original and its result are answered."""
    store.write(model := keys.model("fa" * 32, ".onnx"), finders.constant(folder, FACE).read_bytes())
    store.write(keys.images("Demo") + "a.jpg", photographs.jpeg(1, 128, 96))
    looking = [{"infer": {"model": model}}] if finds else []
    local_runs.submit(store, "mine", parse({"steps": [*looking, *steps], "output": output}))
    index = Index(store)
    with serving(index) as address, httpx.Client(base_url=address, trust_env=False, timeout=SECONDS) as page:
        codes = [page.get("/picture", params={**IMAGE, "side": side}).status_code for side in ("original", "result")]
        text = page.get("/image", params=IMAGE).text
    index.close()
    return text, codes[0], codes[1]


def outlines(text: str) -> list[tuple[str, ...]]:
    """Left, upper, width, height and words of each, as the page has them."""
    return re.findall(r'<rect x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"></rect><text [^>]*>([^<]*)</text>', text)


def test_what_a_model_found_is_outlined_where_steps_have_moved_it(directory_store: Store, tmp_path: Path) -> None:
    text, original, result = asked(directory_store, tmp_path, "scale:50%")

    assert (original, result) == (200, 200)
    assert outlines(text) == [("8.0", "8.0", "12.0", "8.0", "face 0.90")]
    assert 'viewBox="0 0 64 48"' in text
    assert 'type="checkbox" checked="" class="outlines"' in text


def test_of_a_run_without_pictures_the_photograph_has_the_outlines(directory_store: Store, tmp_path: Path) -> None:
    text, original, result = asked(directory_store, tmp_path, "scale:50%", output="none")

    assert (original, result) == (200, 404)
    assert outlines(text) == [("16.0", "16.0", "24.0", "16.0", "face 0.90")]
    assert 'viewBox="0 0 128 96"' in text


@pytest.mark.parametrize("output", ["jpeg", "none"])
def test_where_something_is_covered_outlines_bring_no_original_back(
    directory_store: Store, tmp_path: Path, output: str
) -> None:
    given = [Marked(image="a.jpg", boxes=(ManualBox("<sign>", 80, 40, 96, 56),))]
    boxes.write(directory_store, "Demo", given, tmp_path)
    text, original, result = asked(directory_store, tmp_path, "redact", output=output)

    assert (original, result) == (404, 200 if output == "jpeg" else 404)
    assert "side=original" not in text
    found = [("80.0", "40.0", "16.0", "16.0", "&#60;sign&#62;"), ("16.0", "16.0", "24.0", "16.0", "face 0.90")]
    assert outlines(text) == (found if output == "jpeg" else [])
    assert text.count('<g class="given">') == (output == "jpeg")


def test_what_any_run_covers_is_shown_as_no_original_and_not_beside_a_run_that_shows_it(
    directory_store: Store, tmp_path: Path
) -> None:
    asked(directory_store, tmp_path, "redact")
    local_runs.submit(directory_store, "later", parse({"steps": ["scale:50%"]}))
    index = Index(directory_store)
    with serving(index) as address, httpx.Client(base_url=address, trust_env=False, timeout=SECONDS) as page:
        original = page.get("/picture", params={**IMAGE, "side": "original"}).status_code
        grid = page.get("/").text
        beside = page.get("/runs", params={"a": "mine", "b": "later"}).text
        answers = {run: page.get("/picture", params={"run": run, "image": "a.jpg"}) for run in ("mine", "later")}
    index.close()

    assert original == 404
    assert "Not covered: run later covers nothing, and other runs of Demo do." in grid
    assert re.findall(r"picture\?run=(\w+)", beside) == ["mine"]
    assert {run: answer.status_code for run, answer in answers.items()} == {"mine": 200, "later": 404}


def test_what_an_earlier_run_found_is_not_outlined_where_the_newest_has_no_result(
    directory_store: Store, tmp_path: Path
) -> None:
    asked(directory_store, tmp_path, "scale:50%")
    small = {"steps": ["grayscale"], "limits": {"bytes": 10}}
    local_runs.submit(directory_store, "later", parse(small))
    index = Index(directory_store)
    with serving(index) as address, httpx.Client(base_url=address, trust_env=False, timeout=SECONDS) as page:
        answer = page.get("/image", params=IMAGE)
    index.close()

    assert (answer.status_code, "too-many-bytes" in answer.text, outlines(answer.text)) == (200, True, [])


def test_nothing_is_offered_where_nothing_was_found(directory_store: Store, tmp_path: Path) -> None:
    text, _, result = asked(directory_store, tmp_path, "scale:50%", finds=False)

    assert (result, outlines(text), "outlines" in text) == (200, [], False)


@pytest.mark.faces
def test_no_page_and_no_picture_of_what_is_covered_shows_a_face(directory_store: Store, tmp_path: Path) -> None:
    leaks.dataset(directory_store)
    local_runs.submit(directory_store, "mine", leaks.covering(directory_store, tmp_path), samples=100)
    index = Index(directory_store)
    pages: dict[str, bytes] = {}
    pictures: list[tuple[str, bytes]] = []
    with serving(index) as address, httpx.Client(base_url=address, trust_env=False, timeout=SECONDS) as page:
        for name in ("plain.jpg", "turned.jpg"):
            whose = {"municipality": "Demo", "image": name}
            pages[name] = page.get("/image", params=whose).content
            pictures += [
                (f"{side} of {name}", page.get("/picture", params={**whose, "side": side}).content)
                for side in ("before", "after", "original", "result")
            ]
    index.close()

    shown, looked = leaks.showing([*pages.items(), *pictures], tmp_path)
    assert (shown, looked > 0) == ([], True)
    assert [name for name, content in pages.items() if b'class="boxes"' not in content] == []


def test_words_stay_inside_the_picture_and_can_be_read_in_a_small_one() -> None:
    left, right = Box("face", 0.9, 4, 40, 16, 16), Box("plate", 0.5, 300, 2, 18, 16)

    text = str(Outlines(320, 256, ((left, False), (right, True))).over())

    assert 'font-size="12.0"' in text
    assert '<text x="4.0" y="37.0">face 0.90</text>' in text
    assert '<text x="318.0" y="12.0" text-anchor="end">plate</text>' in text
