"""why --boxes: what was found is outlined in a picture for whoever asks; no original comes back that a run covers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from PIL import Image
from tests import finders, leaks

from imgflow_cli.demo_faces import finder
from imgflow_steps.records import keys
from imgflow_workflows.results.outlines import MARK

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.store import Store

FACE = ("face", 0.9, 32.0, 64.0, 64.0, 48.0)
OUT = "boxes.png"


@pytest.fixture
def city(store: Store) -> Store:
    store.write(keys.images("Demo") + "a.jpg", leaks.png(np.full((192, 256, 3), 120, np.uint8)))
    return store


def submit(imgflow: Cli, model: Path, *steps: Any, output: str = "png") -> None:
    Path("steps.yaml").write_text(
        yaml.safe_dump({"steps": [{"infer": {"model": str(model)}}, *steps], "output": output})
    )
    done = imgflow("submit", "--pipeline", "steps.yaml", "-m", "Demo", "--workers", "1", "-q")
    assert done.code == 0, done.err


def marked(path: str = OUT) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Size of a picture, and where its outlines are: left, upper, right, lower."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    y, x = np.nonzero((abs(pixels - MARK) < 60).all(axis=2))
    return (pixels.shape[1], pixels.shape[0]), (x.min(), y.min(), x.max(), y.max())


def test_a_result_is_outlined_where_steps_have_moved_what_was_found(imgflow: Cli, city: Store, tmp_path: Path) -> None:
    submit(imgflow, finders.constant(tmp_path, FACE), "scale:50%")
    before = {one.key: one.version for one in city.entries("")}
    done = imgflow("why", "a.jpg", "-m", "Demo", "--boxes", OUT)

    assert done.code == 0, done.err
    assert f"outlined in {OUT}" in done.err
    size, around = marked()
    assert size == (128, 96)
    assert around[0] == pytest.approx(16, abs=2)
    assert around[2:] == pytest.approx((48, 56), abs=2)
    assert {one.key: one.version for one in city.entries("")} == before, "nothing is stored"


def test_of_a_run_without_pictures_the_photograph_is_outlined(imgflow: Cli, city: Store, tmp_path: Path) -> None:
    submit(imgflow, finders.constant(tmp_path, FACE), output="none")
    assert imgflow("why", "a.jpg", "-m", "Demo", "--boxes", OUT).code == 0
    size, around = marked()
    assert size == (256, 192)
    assert around[2:] == pytest.approx((96, 112), abs=2)


def test_several_pieces_are_on_one_sheet(imgflow: Cli, city: Store, tmp_path: Path) -> None:
    submit(imgflow, finders.constant(tmp_path, FACE), "split:2x1")
    assert imgflow("why", "a.jpg", "-m", "Demo", "--boxes", OUT).code == 0
    size, around = marked()
    assert size[0] > 256
    assert around[2] < size[0] / 2, "the right half has none"


@pytest.mark.parametrize("order", [("redact", None), (None, "redact")], ids=["covered first", "covered last"])
def test_an_image_that_any_run_covers_is_shown_in_no_other_way(
    imgflow: Cli, city: Store, tmp_path: Path, order: tuple[str | None, ...]
) -> None:
    model = finders.constant(tmp_path, FACE)
    for step in order:
        submit(imgflow, model, *filter(None, [step]), output="none" if step else "png")
    refused = imgflow("why", "a.jpg", "-m", "Demo", "--boxes", OUT)

    assert (refused.code, "no picture of it in which something is covered" in refused.err) == (1, True)
    assert not Path(OUT).exists()


def test_a_picture_that_was_replaced_since_gets_no_outlines_of_another(
    imgflow: Cli, city: Store, tmp_path: Path
) -> None:
    submit(imgflow, finders.constant(tmp_path, FACE))
    [key] = [one.key for one in city.entries("results/") if "/images/" in one.key]
    city.write(key, leaks.png(np.full((192, 256, 3), 90, np.uint8)))
    assert imgflow("why", "a.jpg", "-m", "Demo", "--boxes", OUT).code == 1


def test_a_file_that_is_no_picture_is_refused_before_anything_is_looked_for(imgflow: Cli, city: Store) -> None:
    refused = imgflow("why", "nowhere.jpg", "--boxes", "boxes.txt")
    assert (refused.code, "boxes.txt is not the name of a picture" in refused.err) == (2, True)


@pytest.mark.faces
def test_what_is_outlined_stays_covered(imgflow: Cli, store: Store, tmp_path: Path) -> None:
    store.write(keys.images("Demo") + "a.jpg", leaks.astronaut("JPEG", 6))
    submit(imgflow, finder(tmp_path), "redact")
    assert imgflow("why", "a.jpg", "-m", "Demo", "--boxes", OUT).code == 0
    assert marked()[0] == (512, 512)
    assert leaks.showing([(OUT, Path(OUT).read_bytes())], tmp_path) == ([], 1)
