"""Every step says where its pixels come from: a marker is found at the place in the source that ``Sample.at`` tells."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgflow_steps import codec
from imgflow_steps.contract.options import Limits
from imgflow_steps.pipeline.decode_plan import decode_plan
from imgflow_steps.pipeline.model import parse
from imgflow_steps.pipeline.registry import PIXEL_STEPS
from imgflow_steps.pixels import places

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Affine, Sample

WIDTH, HEIGHT = 93, 61  # as stored
VISIBLE = 60  # levels by which a marker differs, all channels together
MARKERS = [
    (20, 15),
    (70, 12),
    (31, 40),
    (61, 46),
    (38, 24),
    (50, 31),
]  # upper left pixels of markers of 3 x 3, each in a picture alone
STEPS: list[list[Any]] = [
    ["scale:40x40"],
    ["scale:31x17"],
    [{"scale": {"width": 30, "height": 30, "mode": "cover"}}],
    [{"scale": {"width": 200, "height": 50, "mode": "cover"}}],
    [{"scale": {"width": 47, "height": 50, "mode": "exact"}}],
    [{"scale": {"width": 200, "height": 200, "enlarge": True}}],
    ["scale:50%"],
    ["scale:170%"],
    ["grayscale"],
    ["crop:16:9"],
    ["crop:50x30+7+9"],
    ["rotate:90"],
    ["rotate:180"],
    ["rotate:-90"],
    ["rotate:10"],
    ["rotate:-37.5"],
    [{"rotate": {"degrees": 90, "expand": False}}],
    [{"rotate": {"degrees": 33, "expand": False}}],
    ["split:3x2"],
    ["split:40px"],
    ["blur:gaussian:1"],
    ["blur:updownsampling:1"],
    ["blur:bilateral:1"],
    ["blur:median:1"],
    ["normalize:minmax"],
    ["normalize:equalize"],
    [{"augment": {"degrees": 30, "flip": "both", "crop": 20}}],
    [{"augment": {"degrees": 0, "flip": "vertical", "crop": 0}}],
    ["infer"],
    ["infer", "redact"],
    ["scale:80x80", "rotate:15", "crop:60x50", "split:2x1", "augment:2:5", "rotate:270", "scale:150%"],
]


def drawn(marker: tuple[int, int], orientation: int) -> bytes:
    """A grey ramp with a white marker, whose EXIF says how it is to be turned."""
    ramp = np.linspace(20, 140, WIDTH).astype(np.uint8)[np.newaxis, :, np.newaxis]
    image = Image.fromarray(np.broadcast_to(ramp, (HEIGHT, WIDTH, 3)))
    image.paste((255, 255, 255), (0, 0, WIDTH, 1))  # so that the brightest level does not depend on the marker
    x, y = marker
    image.paste((255, 255, 255), (x, y, x + 3, y + 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = BytesIO()
    image.save(out, "PNG", exif=exif)
    return out.getvalue()


def upright(point: tuple[float, float], size: tuple[int, int], orientation: int) -> tuple[float, float]:
    """A point of a picture as it is to be seen: what EXIF 2.3 says of Orientation, in numbers."""
    (x, y), (width, height) = point, size
    return {
        1: (x, y),
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }[orientation]


def made(data: bytes, steps: list[Any]) -> list[Sample]:
    pipeline = parse({"steps": steps})
    samples = [codec.decode(data, decode_plan(pipeline), Limits()).sample("a.png")]
    samples = [replace(one, found={"objects": {"boxes": []}}) for one in samples]  # redact asks who has looked
    for call in pipeline.steps:
        apply = call.step.build(call.params)
        samples = [piece for sample in samples for piece in apply(sample)]
    return samples


def seen(sample: Sample, without: Sample) -> tuple[float, float] | None:
    """The middle of what is different, or None where nothing is, or where an edge cuts it."""
    height, width, _ = sample.pixels.shape
    strength = np.abs(sample.pixels.astype(int) - without.pixels).sum(axis=2)
    weight = np.maximum(0, strength - strength.max() / 4)
    y, x = np.nonzero(weight)
    if strength.max() < VISIBLE or {0, width - 1} & set(x) or {0, height - 1} & set(y):
        return None
    weights = weight[y, x]
    return float(np.average(x, weights=weights)) + 0.5, float(np.average(y, weights=weights)) + 0.5


@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_seen_in_a_result_lies_in_the_source_where_its_map_says(steps: list[Any], orientation: int) -> None:
    blank = made(drawn((200, 200), orientation), steps)
    told = 0
    for marker in MARKERS:
        for sample, without in zip(made(drawn(marker, orientation), steps), blank, strict=True):
            if place := seen(sample, without):
                told += 1
                middle = (marker[0] + 1.5, marker[1] + 1.5)
                expected = upright(middle, (WIDTH, HEIGHT), orientation)
                assert places.moved(sample.at, *place) == pytest.approx(expected, abs=1)
    assert told >= 2  # of six markers: a crop may leave out the others


def test_every_step_that_works_on_pixels_is_among_them() -> None:
    named = {call.name for steps in STEPS for call in parse({"steps": steps}).steps}
    assert set(PIXEL_STEPS) <= named


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side", [(92, 60), (93, 61), (95, 63)], ids=str)
def test_a_jpeg_decoded_at_a_fraction_of_its_size_tells_the_places_of_the_whole(
    orientation: int, side: tuple[int, int]
) -> None:
    image = Image.new("RGB", (side[0] * 8 + 3, side[1] * 8 + 5), (90, 90, 90))
    image.paste((255, 255, 255), (400, 160, 424, 184))
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = BytesIO()
    image.save(out, "JPEG", quality=95, subsampling=0, exif=exif)
    pipeline = parse({"steps": ["scale:64x64"]})
    decoded = codec.decode(out.getvalue(), decode_plan(pipeline), Limits())
    assert decoded.pixels.shape[0] < decoded.height
    shown = decoded.sample()
    y, x = np.nonzero(shown.pixels[:, :, 0] > 200)
    expected = upright((412, 172), image.size, orientation)
    assert places.moved(shown.at, float(x.mean()) + 0.5, float(y.mean()) + 0.5) == pytest.approx(expected, abs=1)


numbers = st.floats(-3, 3).map(lambda value: round(value, 3))


@given(at=st.tuples(*[numbers] * 6), x=numbers, y=numbers)
def test_the_way_back_leads_back(at: Affine, x: float, y: float) -> None:
    if abs(at[0] * at[4] - at[1] * at[3]) > 0.1:
        assert places.moved(places.inverse(at), *places.moved(at, x, y)) == pytest.approx((x, y), abs=1e-6)


@given(first=st.tuples(*[numbers] * 6), second=st.tuples(*[numbers] * 6), x=numbers, y=numbers)
def test_one_after_the_other_is_one_map(first: Affine, second: Affine, x: float, y: float) -> None:
    expected = places.moved(second, *places.moved(first, x, y))
    assert places.moved(places.then(first, second), x, y) == pytest.approx(expected, abs=1e-9)
