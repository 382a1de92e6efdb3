"""The page at / in a real browser: used by a script as a person would, wide and narrow."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import browsers, photographs
from tests.browsers import Browser
from tests.services import Served


@pytest.fixture(scope="module")
def driver() -> Iterator[str]:
    with browsers.driver() as address:
        yield address


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["wide", "narrow"])
def test_a_person_chooses_photographs_and_steps_and_sees_before_and_after(
    front: Served, driver: str, tmp_path: Path, width: int, dark: bool
) -> None:
    (tmp_path / "a.jpg").write_bytes(photographs.jpeg(1, 640, 480))
    browser = Browser(driver, width, dark)
    try:
        browser.open(front.url())
        browser.until("document.querySelector('fieldset')")
        names = browser.run("return [...document.querySelectorAll('#step option')].map(one => one.textContent)")
        browser.type("#files", str(tmp_path / "a.jpg"))
        browser.run("const width = document.querySelector('[data-name=width]'); width.value = 100; width.oninput()")
        browser.run("document.getElementById('step').value = 'split'; document.getElementById('add').click()")
        browser.run("document.getElementById('go').click()")
        browser.until("document.getElementById('said').textContent === '1 of 1 done.'")
        browser.until("[...document.images].every(one => one.complete)")
        sizes = browser.run("return [...document.images].map(one => [one.naturalWidth, one.naturalHeight])")
        overflow = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        curl = browser.run("return document.getElementById('curl').textContent")
        if folder := os.environ.get("IMGFLOW_SCREENSHOTS"):
            browser.screenshot(Path(folder) / f"page-{width}.png")
    finally:
        browser.close()

    assert names == [step["name"] for step in front.client.get("/v1/steps").json()["steps"]]
    assert sizes == [[640, 480], [50, 75], [50, 75]]
    assert overflow <= 0
    (tmp_path / "in.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    told = curl.replace("curl ", "curl -sS --fail --noproxy '*' -H 'Accept: application/json' ", 1)
    subprocess.run(["bash", "-ec", told], cwd=tmp_path, check=True)
    pictures = json.loads((tmp_path / "out.jpeg").read_text())["pictures"]
    assert [(one["width"], one["height"]) for one in pictures] == [(50, 75), (50, 75)]
