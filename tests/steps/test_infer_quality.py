"""The built-in quality model: what is shipped is what the formula says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image, ImageFilter
from skimage import data

from imgflow_steps.contract.sample import Sample
from imgflow_steps.infer import Infer
from imgflow_steps.infer.quality import LABELS, MODEL, build
from imgflow_steps.infer.work import build as build_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Luma = NDArray[np.uint8]

ask = build_step(Infer())

PHOTOGRAPHS = ("astronaut", "camera", "coffee", "brick", "chelsea", "grass", "gravel", "coins", "rocket")


def found(pixels: Luma) -> dict[str, Any]:
    [sample] = ask(Sample(pixels.reshape(*pixels.shape[:2], -1)))
    return dict(sample.found)


def formula(luma: Luma) -> dict[str, float]:
    x = luma.astype(np.float64)
    p = np.pad(x, 1, mode="edge")
    laplacian = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * x
    v = laplacian.var()
    return {"sharpness": v / (v + 100), "exposure": x.mean() / 255, "contrast": x.std() / 127.5}


def label(sharpness: float, exposure: float, contrast: float) -> str:
    if exposure < 0.2:
        return "dark"
    if exposure > 0.8:
        return "bright"
    if contrast < 0.12:
        return "flat"
    return "blurred" if sharpness < 0.5 else "good"


def assert_follows_the_formula(luma: Luma) -> None:
    said, expected = found(luma), formula(luma)
    assert list(said) == ["label", "sharpness", "exposure", "contrast"]
    assert {name: said[name] for name in expected} == pytest.approx(expected, abs=1e-5)
    assert all(0 <= said[name] <= 1 for name in expected)
    limits = (
        (expected["exposure"], 0.2),
        (expected["exposure"], 0.8),
        (expected["contrast"], 0.12),
        (expected["sharpness"], 0.5),
    )
    if all(abs(value - limit) > 1e-5 for value, limit in limits):
        assert said["label"] == label(**expected)


def photograph(name: str) -> Image.Image:
    return Image.fromarray(getattr(data, name)()).convert("L")


def test_the_shipped_model_is_the_one_that_the_script_builds() -> None:
    assert build().SerializeToString(deterministic=True) == MODEL.read_bytes()


def test_the_model_opens_in_an_onnx_runtime_of_1_20() -> None:
    model = onnx.load(MODEL)
    assert model.ir_version <= 10
    assert model.opset_import[0].version <= 21


def test_the_model_says_what_it_is() -> None:
    meta = onnxruntime.InferenceSession(MODEL).get_modelmeta()
    assert meta.version == 1
    assert tuple(json.loads(meta.custom_metadata_map["labels"])) == LABELS
    assert "Pech-Pacheco" in meta.custom_metadata_map["description"]


@settings(deadline=None)
@given(npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_it_says_what_the_formula_says_for_any_small_image(luma: Luma) -> None:
    assert_follows_the_formula(luma)


@settings(deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 255), st.floats(0, 90), st.integers(0, 2**32 - 1))
def test_it_says_what_the_formula_says_at_any_size(
    height: int, width: int, level: int, noise: float, seed: int
) -> None:
    values = np.random.default_rng(seed).normal(level, noise, (height, width))
    assert_follows_the_formula(values.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 2), (2, 1), (1, 65_535), (65_535, 1), (768, 1024), (3000, 4000)]
)
def test_it_says_what_the_formula_says_at_extreme_sizes(height: int, width: int) -> None:
    assert_follows_the_formula(np.random.default_rng(1).integers(0, 256, (height, width), np.uint8))


def test_contrast_ends_at_one() -> None:
    halves = np.repeat(np.uint8([[0], [255]]), 333, axis=1).repeat(501, axis=0)
    assert found(halves)["contrast"] == 1


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_sharp_photographs_are_good(name: str) -> None:
    assert found(np.asarray(photograph(name)))["label"] == "good"


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_blurring_lowers_sharpness_and_is_named(name: str) -> None:
    said = [found(np.asarray(photograph(name).filter(ImageFilter.GaussianBlur(r)))) for r in (0, 0.7, 1.5, 3)]
    sharpness = [one["sharpness"] for one in said]
    assert sharpness == sorted(sharpness, reverse=True)
    assert said[2]["label"] == "blurred"


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_darkening_brightening_and_flattening_are_named(name: str) -> None:
    luma = np.asarray(photograph(name), np.float64)
    changed = {"dark": luma * 0.3, "bright": 255 - (255 - luma) * 0.2, "flat": 128 + (luma - luma.mean()) * 0.15}
    assert {name: found(pixels.round().astype(np.uint8))["label"] for name, pixels in changed.items()} == {
        name: name for name in changed
    }


def test_a_photograph_blurred_by_the_camera_is_blurred() -> None:
    assert found(np.asarray(photograph("clock")))["label"] == "blurred"


def test_colour_is_asked_by_its_luma() -> None:
    assert found(data.astronaut()) == found(np.asarray(Image.fromarray(data.astronaut()).convert("L")))
