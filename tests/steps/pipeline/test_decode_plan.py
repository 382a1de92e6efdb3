"""Of a photograph no more is decoded than the pipeline needs, and nobody can tell from the result."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from tests import photographs

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Sample
from imgflow_steps.pipeline.decode_plan import decode_plan
from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.pipeline.registry import PIXEL_STEPS
from imgflow_steps.pixels.arrays import to_luma, to_pixels

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

WHOLE = DecodePlan()
PHOTOGRAPH = photographs.pixels(5, 1200, 800)


def camera(width: int, height: int) -> Image.Image:
    """As soft as what a lens draws: no detail as small as a pixel."""
    return photographs.pixels(5, width // 2, height // 2).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image = PHOTOGRAPH, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=92, **options)
    return out.getvalue()


def decoded(data: bytes, plan: DecodePlan) -> codec.Decoded:
    return codec.decode(data, plan, Limits())


def result(data: bytes, steps: list[Any], plan: DecodePlan | None = None) -> Pixels:
    pipeline = parse({"steps": steps})
    before = decoded(data, decode_plan(pipeline) if plan is None else plan)
    sample = before.sample()
    for call in pipeline.steps:
        [sample] = call.step.build(call.params)(sample)
    return sample.pixels


def pieces(data: bytes, pipeline: Pipeline, plan: DecodePlan) -> list[Sample]:
    before = decoded(data, plan)
    samples = [before.sample()]
    for call in pipeline.steps:
        apply = call.step.build(call.params)
        samples = [piece for sample in samples for piece in apply(sample)]
    return samples


def decibels(one: Pixels, other: Pixels) -> float:
    assert one.shape == other.shape
    error = np.mean((one.astype(float) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.parametrize(
    ("width", "height", "mode", "divided"),
    [
        (0, 0, "fit", 1),
        (1200, 1200, "fit", 1),
        (500, 500, "fit", 1),  # 2.4 pixels for one; half of that is too little for a good filter
        (300, 300, "fit", 2),
        (300, 10_000, "fit", 2),
        (300, 100, "fit", 4),  # the height decides: 150 x 100
        (300, 100, "cover", 2),  # the width decides: 300 x 200, cut
        (300, 100, "exact", 2),
        (70, 70, "fit", 8),
        (1, 1, "fit", 8),
        (5000, 1, "exact", 1),  # as wide as it is
    ],
)
def test_a_jpeg_is_decoded_at_about_twice_the_size_it_will_have(
    width: int, height: int, mode: Any, divided: int
) -> None:
    found = decoded(jpeg(), DecodePlan(width=width, height=height, mode=mode))
    assert found.pixels.shape == (800 // divided, 1200 // divided, 3)
    assert (found.width, found.height) == (1200, 800)


def test_the_box_is_meant_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decoded(jpeg(exif=exif), DecodePlan(width=130, height=10_000))  # stored 1200 x 800, seen 800 x 1200
    assert found.pixels.shape == (600, 400, 3)
    assert (found.width, found.height) == (800, 1200)


@pytest.mark.parametrize(
    ("orientation", "extent"),
    [
        (1, (0, 0, 300.5, 199.25)),
        (2, (0.5, 0, 301, 199.25)),
        (3, (0.5, 0.75, 301, 200)),
        (4, (0, 0.75, 300.5, 200)),
        (5, (0, 0, 199.25, 300.5)),
        (6, (0.75, 0, 200, 300.5)),
        (7, (0.75, 0.5, 200, 301)),
        (8, (0, 0.5, 199.25, 301)),
    ],
)
def test_where_a_side_does_not_divide_the_picture_ends_inside_its_last_pixel(
    orientation: int, extent: tuple[float, ...]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decoded(jpeg(photographs.pixels(5, 1202, 797), exif=exif), DecodePlan(width=100, height=100))
    assert found.extent == extent
    assert {found.width, found.height} == {1202, 797}


def test_where_sides_divide_all_pixels_are_the_picture_s() -> None:
    assert decoded(jpeg(), DecodePlan(width=100, height=100)).extent is None


def test_only_a_jpeg_is_reduced_by_the_door() -> None:
    for kind in ("PNG", "WEBP", "TIFF", "BMP"):
        out = BytesIO()
        PHOTOGRAPH.save(out, kind)
        assert decoded(out.getvalue(), DecodePlan(width=10, height=10)).pixels.shape == (800, 1200, 3)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_press_jpegs_are_reduced_too(mode: str) -> None:
    found = decoded(jpeg(PHOTOGRAPH.convert(mode)), DecodePlan(luma=True, width=100, height=100))
    assert found.pixels.shape == (200, 300, 1)


def test_the_luma_of_a_jpeg_is_that_of_its_colours_but_for_rounding() -> None:
    data = jpeg(ImageOps.autocontrast(PHOTOGRAPH, cutoff=0).point(lambda v: 40 + v * 170 // 255))  # nothing clips
    luma = decoded(data, DecodePlan(luma=True)).pixels
    colours = to_pixels(to_luma(Image.fromarray(decoded(data, WHOLE).pixels)))
    assert np.abs(luma.astype(int) - colours).max() <= 1


STEPS = [
    [{"scale": {"width": 300, "height": 200}}, "grayscale"],
    ["grayscale", {"scale": {"width": 300, "height": 200}}],
    [{"scale": {"width": 210, "height": 210, "mode": "cover"}}, "grayscale"],
    [{"scale": {"width": 150, "height": 150, "mode": "exact"}}, "grayscale"],
    [{"scale": {"width": 300, "height": 300}}],
]


@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("size", [(1200, 800), (1203, 797)], ids=str)
def test_a_planned_result_looks_like_that_of_a_full_decode(
    steps: list[Any], orientation: int, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(camera(*size), exif=exif)
    assert decibels(result(data, steps), result(data, steps, WHOLE)) > 50


@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    box=st.tuples(st.integers(1, 450), st.integers(1, 450)),
    mode=st.sampled_from(["fit", "cover", "exact"]),
    orientation=st.integers(1, 8),
    enlarge=st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_the_plan_never_changes_the_size_of_a_result(
    width: int, height: int, box: tuple[int, int], mode: str, orientation: int, enlarge: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(Image.new("RGB", (width, height), "teal"), exif=exif)
    steps = [{"scale": {"width": box[0], "height": box[1], "mode": mode, "enlarge": enlarge}}]
    assert result(data, steps).shape == result(data, steps, WHOLE).shape


def test_the_same_bytes_and_plan_give_the_same_pixels() -> None:
    data, plan = jpeg(), DecodePlan(luma=True, width=200, height=200)
    np.testing.assert_array_equal(decoded(data, plan).pixels, decoded(data, plan).pixels)


SOFT = jpeg(camera(600, 400))
NOISE = np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)
MOTLEY = jpeg(Image.fromarray(NOISE), subsampling=0)  # no two channels agree
ORDERS = st.lists(
    st.sampled_from(
        [
            *("grayscale", "scale:75%", "rotate", "crop:4:3", "blur:gaussian:3", "blur:updownsampling"),
            *("blur:median", "normalize:minmax", {"scale": {"width": 300, "height": 300}}, "split", "rotate:-180"),
        ]
    ),
    min_size=1,
    max_size=4,
)


@given(steps=ORDERS)
@settings(deadline=None, max_examples=25)
def test_whatever_steps_declare_a_planned_result_is_that_of_a_full_decode_but_for_rounding(steps: list[Any]) -> None:
    pipeline = parse({"steps": steps})
    planned, full = (pieces(SOFT, pipeline, plan) for plan in (decode_plan(pipeline), WHOLE))
    assert [sample.piece for sample in planned] == [sample.piece for sample in full]
    for one, other in zip(planned, full, strict=True):
        assert decibels(one.pixels, other.pixels) > 38


@pytest.mark.parametrize("name", sorted(set(PIXEL_STEPS) - {"infer", "grayscale", "redact"}))  # redact needs a finder
def test_a_step_that_keeps_luma_gives_the_luma_of_its_result_and_the_others_do_not(name: str) -> None:
    kinds = [{"kind": kind} for kind in ("gaussian", "updownsampling", "bilateral", "median")]
    for params in kinds if name == "blur" else [{}]:
        pipeline = parse({"steps": [{name: params}, "grayscale"]})
        step = pipeline.steps[0]
        planned, full = (pieces(MOTLEY, pipeline, DecodePlan(luma=luma)) for luma in (True, False))
        noise = min(decibels(one.pixels, other.pixels) for one, other in zip(planned, full, strict=True))
        assert (noise > 38) == step.step.keeps_luma(step.params), (params, noise)
