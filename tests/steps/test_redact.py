"""Redaction covers what was found wherever later steps have moved it, leaves the rest, and fails closed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imgflow_steps.contract.sample import MANUAL, Rejected, Sample
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.apply import OpenPipeline
from imgflow_steps.pipeline.model import parse
from imgflow_steps.redact import STEP, Redact

FACE = ["face", 0.9, 30.0, 20.0, 20.0, 30.0]
PLATE = ["plate", 0.4, 70.0, 60.0, 16.0, 8.0]


def noise(channels: int = 3, width: int = 120, height: int = 90) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(5).integers(0, 256, (height, width, channels), np.uint8)


def sample(*boxes: Any, channels: int = 3, **told: Any) -> Sample:
    return Sample(noise(channels), found={"objects": {"count": len(boxes), "boxes": list(boxes), **told}})


def redacted(given: Sample, **params: Any) -> Sample:
    [out] = STEP.build(Redact(**params))(given)
    return out


def changed(before: Sample, after: Sample) -> tuple[int, int, int, int]:
    y, x = np.nonzero((before.pixels != after.pixels).any(axis=2))
    return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1


def test_a_box_grows_by_its_margin_and_then_to_the_grid() -> None:
    given = sample(FACE)
    assert changed(given, redacted(given, margin=30)) == (24, 8, 56, 64)  # 24 to 56 by 11 to 59
    assert changed(given, redacted(given, margin=0)) == (24, 16, 56, 56)


@pytest.mark.parametrize("by", ["fill", "mosaic", "blur"])
@pytest.mark.parametrize("shape", ["box", "ellipse"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_nothing_beside_the_areas_changes_and_all_of_them_does(by: str, shape: str, channels: int) -> None:
    given = sample(FACE, PLATE, channels=channels)
    given.pixels[:, :, channels - 1 + channels % 2 :] = 255  # what is seen through is no longer what it was
    out = redacted(given, by=by, shape=shape, margin=0)
    same = (given.pixels == out.pixels).all(axis=2)
    assert same[:, :8].all()
    assert same[:16, 64:].all()
    assert same[16:56, 24:56].mean() < 0.05  # a pixel of noise may be what covers it
    assert out.found["redacted"]["count"] == 2
    assert 0.1 < out.found["redacted"]["share"] < 0.5


def test_fill_leaves_nothing_of_what_was_there() -> None:
    out = redacted(sample(FACE), colour="white")
    assert (out.pixels[8:64, 24:56] == 255).all()


def test_a_mosaic_has_so_many_cells_along_the_longer_side_however_large_the_box() -> None:
    for side in (40.0, 80.0):
        out = redacted(sample(["face", 1.0, 0.0, 0.0, side, side]), by="mosaic", cells=4, margin=0)
        area = out.pixels[: int(side), : int(side)].reshape(-1, 3)
        assert len(np.unique(area, axis=0)) == 16


def test_a_cell_is_the_mean_of_the_pixels_given_rounded_half_up() -> None:
    given = sample(["face", 1.0, 8.0, 8.0, 16.0, 16.0])
    out = redacted(given, by="mosaic", cells=1, margin=0)
    mean = given.pixels[8:24, 8:24].astype(int).reshape(-1, 3).sum(axis=0)
    assert out.pixels[10, 10].tolist() == [(2 * int(total) + 256) // 512 for total in mean]


def test_what_covers_one_box_is_not_made_of_what_covers_another() -> None:
    one, two = ["a", 1.0, 8.0, 8.0, 32.0, 32.0], ["b", 0.9, 24.0, 24.0, 32.0, 32.0]
    both, second = redacted(sample(one, two), by="mosaic", margin=0), redacted(sample(two), by="mosaic", margin=0)
    assert (both.pixels[24:56, 24:56] == second.pixels[24:56, 24:56]).all()


@pytest.mark.parametrize("channels", [2, 4])
def test_what_is_covered_is_opaque(channels: int) -> None:
    given = sample(FACE, channels=channels)
    given.pixels[:, :, -1] = 0
    out = redacted(given, by="mosaic")
    assert (out.pixels[8:64, 24:56, -1] == 255).all()
    assert (out.pixels[:, :16, -1] == 0).all()


@pytest.mark.parametrize("channels", [2, 4])
def test_colour_that_nobody_sees_under_transparency_does_not_go_out(channels: int) -> None:
    """A person who was erased with a mask: no model can find who is not seen, and a PNG would keep the colours."""
    given = sample(FACE, channels=channels)
    given.pixels[:, :, -1] = 255
    given.pixels[60:80, 80:100, -1] = 0
    out = redacted(given)
    assert not out.pixels[60:80, 80:100].any()
    assert (out.pixels[80:] == given.pixels[80:]).all()


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("alpha", [1, 2, 100, 254])
def test_colour_that_is_hardly_seen_goes_out_no_clearer_than_the_model_saw_it(channels: int, alpha: int) -> None:
    """A person who was erased with a soft brush: over white, where models look, nobody is seen."""
    given = sample(FACE, channels=channels)
    given.pixels[:, :, -1] = 255
    given.pixels[60:80, 80:100, -1] = alpha
    out = redacted(given)
    seen = given.pixels[60:80, 80:100, :-1].astype(int) * alpha + 255 * (255 - alpha)
    assert (out.pixels[60:80, 80:100, :-1] == (2 * seen + 255) // 510).all()
    assert (out.pixels[60:80, 80:100, -1] == alpha).all()
    assert (out.pixels[80:] == given.pixels[80:]).all()


@pytest.mark.parametrize("by", ["fill", "mosaic", "blur"])
@pytest.mark.parametrize("shape", ["box", "ellipse"])
@pytest.mark.parametrize("size", [(0.0, 0.0), (0.0, 4.0), (4.0, 0.0)])
def test_a_box_without_width_or_height_is_covered_as_well(by: str, shape: str, size: tuple[float, float]) -> None:
    """So thin is one that was rounded to a tenth of a pixel; this one lies on the grid."""
    given = sample(["face", 0.9, 32.0, 24.0, *size])
    left, upper, right, lower = changed(given, redacted(given, by=by, shape=shape))
    assert (max(left, 32), max(upper, 24), min(right, 40), min(lower, 32)) == (32, 24, 40, 32)


@pytest.mark.parametrize(
    "steps", [["scale:60x45"], ["rotate:90"], ["rotate:30"], ["crop:90x80+10+5"], ["split:2x2"]], ids=str
)
def test_a_box_is_covered_where_steps_between_have_moved_it(steps: list[str]) -> None:
    pixels = np.full((90, 120, 3), 90, np.uint8)
    pixels[20:50, 30:50] = (255, 0, 0)
    samples = [Sample(pixels, found={"objects": {"boxes": [FACE]}})]
    for call in parse({"steps": steps}).steps:
        apply = call.step.build(call.params)
        samples = [piece for one in samples for piece in apply(one)]
    assert any((one.pixels[:, :, 0] > 180).any() for one in samples)
    for one in samples:
        assert (redacted(one).pixels[:, :, 0].astype(int) - redacted(one).pixels[:, :, 1] < 40).all()


def test_labels_and_score_choose_what_is_covered() -> None:
    assert redacted(sample(FACE, PLATE), labels=("plate",)).found["redacted"]["count"] == 1
    assert redacted(sample(FACE, PLATE), score=0.5).found["redacted"]["count"] == 1
    assert redacted(sample(FACE, PLATE)).found["redacted"]["count"] == 2


@pytest.mark.parametrize(
    ("given", "params", "code"),
    [
        (Sample(noise()), {}, "no-finder"),
        (Sample(noise(), found={"label": "good", "sharpness": 0.4}), {}, "no-finder"),
        (sample(FACE, more=1), {}, "too-many-objects"),
        (sample(), {"none": "reject"}, "nothing-found"),
        (sample(FACE), {"none": "reject", "labels": ("plate",)}, "nothing-found"),
    ],
)
def test_an_image_that_may_not_be_covered_whole_is_rejected(given: Sample, params: dict[str, Any], code: str) -> None:
    with pytest.raises(Rejected) as verdict:
        redacted(given, **params)
    assert verdict.value.code == code


def test_without_a_model_before_it_a_pipeline_opens_only_where_people_may_have_given_boxes() -> None:
    alone = parse({"steps": ["redact", "infer"]})
    with pytest.raises(BadParametersError, match="no model before it gives boxes"):
        OpenPipeline(alone)
    OpenPipeline(alone, marked=True)
    with pytest.raises(BadParametersError, match="no model before it gives boxes"):
        OpenPipeline(parse({"steps": ["infer", "redact"]}), marked=True)  # whoever has a model wants it to find things


def test_a_box_that_people_gave_is_covered_whatever_is_asked_of_models() -> None:
    given = sample(FACE)
    by_hand = {MANUAL: {"count": 1, "boxes": [["sign", 1.0, 70.0, 60.0, 16.0, 8.0]]}}
    out = redacted(Sample(given.pixels, found={**by_hand, **given.found}), labels=("plate",), score=1, margin=0)
    assert out.found["redacted"]["count"] == 1
    assert changed(given, out) == (64, 56, 88, 72)


def test_where_people_said_that_there_is_nothing_to_cover_nobody_else_has_to_look() -> None:
    looked = Sample(noise(), found={MANUAL: {"count": 0, "boxes": []}})
    assert (redacted(looked).pixels == looked.pixels).all()
    with pytest.raises(Rejected, match="nothing was found"):
        redacted(looked, none="reject")


def test_a_model_that_gives_no_boxes_is_refused_when_the_pipeline_opens() -> None:
    with pytest.raises(BadParametersError, match="no model before it gives boxes"):
        OpenPipeline(parse({"steps": ["infer", "redact"]}))
