"""A real finder on real photographs: what it finds, and that it finds nothing in what redact has covered."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from imgflow_cli.demo_faces import finder
from imgflow_steps import codec
from imgflow_steps.contract.options import Encoding
from imgflow_steps.contract.sample import Sample
from imgflow_steps.infer import Infer
from imgflow_steps.infer.work import build
from imgflow_steps.pipeline.apply import OpenPipeline
from imgflow_steps.pipeline.model import parse
from imgflow_steps.redact import Redact
from imgflow_steps.redact import work as redact

if TYPE_CHECKING:
    from pathlib import Path

    from imgflow_steps.contract.sample import Apply

pytestmark = pytest.mark.faces
FACE = (181.5, 58.2, 269.9, 177.8)  # of the astronaut, 512 x 512: left, upper, right, lower
SURE = 0.35  # what still counts as a face in a picture that is to show none


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finder(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def ask(model: Path) -> Apply:
    return build(Infer(model=str(model)))


def found(ask: Apply, pixels: Any) -> Any:
    [out] = ask(Sample(np.ascontiguousarray(pixels)))
    return out.found["objects"]


def shared(box: list[Any], other: tuple[float, ...]) -> float:
    left, upper, width, height = box[2:]
    across = max(0, min(left + width, other[2]) - max(left, other[0]))
    down = max(0, min(upper + height, other[3]) - max(upper, other[1]))
    return across * down / (width * height + (other[2] - other[0]) * (other[3] - other[1]) - across * down)


def test_the_face_is_found_where_it_is(ask: Apply) -> None:
    said = found(ask, data.astronaut())
    assert said["labels"] == {"face": 1}
    assert said["best"] >= 0.9
    assert shared(said["boxes"][0], FACE) >= 0.9


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_face_is_found_once(ask: Apply, turns: int) -> None:
    assert found(ask, np.rot90(data.astronaut(), turns))["count"] == 1


def test_a_cup_and_a_cat_have_no_face(ask: Apply) -> None:
    assert found(ask, data.coffee())["count"] == found(ask, data.chelsea())["count"] == 0


@pytest.mark.parametrize("by", ["fill", "mosaic", "blur"])
@pytest.mark.parametrize("shape", ["box", "ellipse"])
def test_nothing_is_found_in_what_is_covered_and_the_rest_stays(ask: Apply, by: Any, shape: Any) -> None:
    [before] = ask(Sample(data.astronaut()))
    [after] = redact.build(Redact(by=by, shape=shape))(before)
    encoded = codec.encode(after.pixels, Encoding(format="jpeg", quality=85))
    seen = found(ask, np.asarray(Image.open(BytesIO(encoded))))
    assert [box for box in seen["boxes"] if box[1] >= SURE] == []
    differs = (before.pixels != after.pixels).any(axis=2)
    assert not differs[:, :100].any()
    assert not differs[:, 350:].any()
    assert not differs[260:].any()


def test_steps_before_and_between_do_not_uncover_it(model: Path, ask: Apply) -> None:
    image = Image.fromarray(data.astronaut())
    exif = Image.Exif()
    exif[0x0112] = 6
    out = BytesIO()
    image.rotate(90).save(out, "JPEG", quality=95, exif=exif)
    steps: list[Any] = [{"infer": {"model": str(model)}}, "rotate:20", "scale:300x300", "redact", "rotate:-20"]
    made = OpenPipeline(parse({"steps": steps})).process(out.getvalue())
    [picture] = made.pictures
    assert picture.found["redacted"]["count"] == 1
    assert found(ask, np.asarray(Image.open(BytesIO(picture.data))))["count"] == 0


def street() -> tuple[Any, list[tuple[int, int, int]]]:
    """12 megapixels of photographs without faces, and three of 16 to 44 pixels: the middles and sizes of these."""
    tile = np.asarray(Image.fromarray(data.coffee()).resize((1000, 750)))
    wide = np.tile(tile, (4, 4, 1))
    portrait = Image.fromarray(data.astronaut()[0:240, 110:350])
    placed = []
    for size, x, y in ((16, 700, 400), (24, 2300, 1500), (44, 3400, 2600)):
        side = round(240 * size / 88)
        wide[y : y + side, x : x + side] = np.asarray(portrait.resize((side, side), Image.Resampling.LANCZOS))
        placed.append((x + side // 2, y + side // 2, side))
    return wide, placed


@pytest.mark.thorough
def test_small_faces_in_a_large_picture_are_found_in_pieces(model: Path) -> None:
    picture, placed = street()
    said = found(build(Infer(model=str(model), tile=1024)), picture)
    for x, y, side in placed:
        near = [
            box for box in said["boxes"] if abs(box[2] + box[4] / 2 - x) < side and abs(box[3] + box[5] / 2 - y) < side
        ]
        assert len(near) == 1, (side, said["boxes"])
