"""Any ONNX image model by parameters: what it takes, what it gives, and what is refused with which words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import rapidocr_onnxruntime
from PIL import Image, ImageDraw, ImageFont

from imgflow_steps.contract.sample import Rejected, Sample
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer import Infer
from imgflow_steps.infer.work import build

TEXT_DIRECTION = Path(rapidocr_onnxruntime.__file__).parent / "models/ch_ppocr_mobile_v2.0_cls_infer.onnx"

# A model that gives the mean of every channel, for pictures of any size, channels first.
MEANS = "means (float[1, 3, h, w] x) => (float[1, 3] y) { y = ReduceMean <axes = [2, 3], keepdims = 0> (x) }"
SMALL = "means (float[1, 3, 5, 7] x) => (float[1, 3] y) { y = ReduceMean <axes = [2, 3], keepdims = 0> (x) }"
MEANS_OF_UINT8 = (
    "means (uint8[1, 3, h, w] x) => (float[1, 3] y) "
    "{ f = Cast <to = 1> (x) y = ReduceMean <axes = [2, 3], keepdims = 0> (f) }"
)
MEAN = "mean (float[1, 1, h, w] x) => (float[1] y) { y = ReduceMean <axes = [1, 2, 3], keepdims = 0> (x) }"


def model(folder: Path, graph: str, **metadata: str) -> str:
    """Write an ONNX model from its text."""
    made = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 13]> {graph}')
    onnx.helper.set_model_props(made, metadata)
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return str(path)


def plain(*colour: int, width: int = 6, height: int = 4) -> Sample:
    return Sample(np.full((height, width, len(colour)), colour, np.uint8))


def found(params: Infer, sample: Sample) -> Any:
    [out] = build(params)(sample)
    return out.found


def scores(params: Infer, sample: Sample) -> dict[str, float]:
    return dict(found(params, sample)["y"]["top"])


# What a model takes


@pytest.mark.parametrize(
    ("graph", "means"),
    [
        (MEANS, [10, 20, 30]),
        (
            "m (float[n, h, w, 3] x) => (float[n, 3] y) { y = ReduceMean <axes = [1, 2], keepdims = 0> (x) }",
            [10, 20, 30],
        ),
        (
            "m (float[n, 4, h, w] x) => (float[n, 4] y) { y = ReduceMean <axes = [2, 3], keepdims = 0> (x) }",
            [10, 20, 30, 255],
        ),
        (
            "m (float16[1, 3, h, w] x) => (float16[1, 3] y) { y = ReduceMean <axes = [2, 3], keepdims = 0> (x) }",
            [10, 20, 30],
        ),
        (
            MEANS_OF_UINT8,
            [10, 20, 30],
        ),
        (
            "m (float[1, 3, 5, 7] x) => (float[1, 3, 1, 1] y) { y = ReduceMean <axes = [2, 3], keepdims = 1> (x) }",
            [10, 20, 30],
        ),
    ],
    ids=["nchw", "nhwc", "rgba", "float16", "uint8", "fixed-size"],
)
def test_layout_channels_and_type_are_read_from_the_model(tmp_path: Path, graph: str, means: list[float]) -> None:
    params = Infer(model=model(tmp_path, graph), scores="raw", top=4)
    assert scores(params, plain(10, 20, 30)) == {str(i): mean for i, mean in enumerate(means)}


def test_blue_comes_first_when_asked(tmp_path: Path) -> None:
    params = Infer(model=model(tmp_path, MEANS), order="bgr", scores="raw")
    assert scores(params, plain(10, 20, 30)) == {"0": 30, "1": 20, "2": 10}


@pytest.mark.parametrize(
    ("mean", "scale", "expected"),
    [
        ((), (), [10, 20, 30]),
        ((10,), (0.5,), [0, 5, 10]),
        ((1, 2, 3), (1, 10, 100), [9, 180, 2700]),
        ((), (2,), [20, 40, 60]),
    ],
)
def test_mean_is_subtracted_before_scaling(
    tmp_path: Path, mean: tuple[float, ...], scale: tuple[float, ...], expected: list[float]
) -> None:
    params = Infer(model=model(tmp_path, MEANS), mean=mean, scale=scale, scores="raw")
    assert scores(params, plain(10, 20, 30)) == {str(i): value for i, value in enumerate(expected)}


@pytest.mark.parametrize(
    ("sample", "means"),
    [
        (plain(50), [50, 50, 50]),
        (plain(50, 0), [255, 255, 255]),
        (plain(9, 8, 7, 0), [255, 255, 255]),
        (plain(255, 0, 0, 51), [255, 204, 204]),
    ],
    ids=["grey", "grey-transparent", "colour-transparent", "red-fifth"],
)
def test_grey_becomes_colour_and_alpha_goes_over_white(tmp_path: Path, sample: Sample, means: list[float]) -> None:
    params = Infer(model=model(tmp_path, MEANS), scores="raw")
    assert scores(params, sample) == {str(i): mean for i, mean in enumerate(means)}


def test_colour_becomes_luma_for_a_model_of_one_channel(tmp_path: Path) -> None:
    assert found(Infer(model=model(tmp_path, MEAN)), plain(255, 0, 0)) == {"y": 76}


SIZE = (
    "size (float[1, 1, h, w] x) => (int64[1] height, int64[1] width) <int64[1] two = {2}, int64[1] three = {3}>"
    "{ s = Shape (x) height = Gather (s, two) width = Gather (s, three) }"
)


@pytest.mark.parametrize(
    ("asked", "size"),
    [({}, (4, 6)), ({"width": 32, "height": 16}, (16, 32)), ({"height": 16}, (16, 6))],
    ids=["own", "asked", "one-side"],
)
def test_a_free_size_is_the_one_asked_for_or_the_images_own(
    tmp_path: Path, asked: dict[str, int], size: tuple[int, int]
) -> None:
    path = model(tmp_path, SIZE)
    assert found(Infer(model=path, **asked), plain(1)) == {"height": size[0], "width": size[1]}


def test_shrinking_takes_every_pixel_into_account(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 1), np.uint8)
    stripes[:, ::2] = 254
    params = Infer(model=model(tmp_path, MEAN), width=8, height=8)
    assert found(params, Sample(stripes))["y"] == pytest.approx(127, abs=1)


def test_pixels_and_piece_pass_through_unchanged() -> None:
    sample = Sample(np.arange(60, dtype=np.uint8).reshape(4, 5, 3), piece="a-1")
    before = sample.pixels.copy()
    [out] = build(Infer())(sample)
    assert out.pixels is sample.pixels
    assert (out.pixels == before).all()
    assert out.piece == "a-1"


# What a model gives

DISTRIBUTION = (
    "probabilities (float[1, 3, h, w] x) => (float[1, 3] y) "
    "{ m = ReduceMean <axes = [2, 3], keepdims = 0> (x) y = Softmax (m) }"
)


def test_scores_that_are_no_distribution_go_through_softmax(tmp_path: Path) -> None:
    y = found(Infer(model=model(tmp_path, MEANS), scale=(0.1,)), plain(10, 20, 30))["y"]
    e = np.exp([1.0, 2.0, 3.0])
    assert [label for label, _ in y["top"]] == ["2", "1", "0"]
    assert [score for _, score in y["top"]] == pytest.approx(sorted(e / e.sum(), reverse=True), rel=1e-5)
    assert (y["label"], y["score"]) == tuple(y["top"][0])


def test_a_distribution_stays_as_it_is(tmp_path: Path) -> None:
    given = Infer(model=model(tmp_path, DISTRIBUTION), scale=(0.1,))
    assert scores(given, plain(10, 20, 30))["2"] == pytest.approx(np.exp(3) / np.exp([1, 2, 3]).sum(), rel=1e-5)


def test_softmax_can_be_asked_for(tmp_path: Path) -> None:
    given = Infer(model=model(tmp_path, DISTRIBUTION), scale=(0.0,), scores="softmax")
    assert scores(given, plain(10, 20, 30)) == {str(i): pytest.approx(1 / 3, rel=1e-5) for i in range(3)}
    sure = Infer(model=model(tmp_path, DISTRIBUTION), scale=(10.0,), scores="softmax")
    assert scores(sure, plain(10, 20, 30))["2"] == pytest.approx(np.e / (np.e + 2), rel=1e-5)


def test_of_equal_scores_the_first_class_wins(tmp_path: Path) -> None:
    y = found(Infer(model=model(tmp_path, MEANS), scores="raw", top=2), plain(7, 9, 9))["y"]
    assert y == {"label": "1", "score": 9, "top": [["1", 9], ["2", 9]]}


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": '["red", "green", "blue"]'},
        {"labels": "red\ngreen\nblue\n"},
        {"labels": "red, green, blue"},
        {"names": "{0: 'red', 2: 'blue', 1: 'green'}"},
        {"names": '{"0": "red", "1": "green", "2": "blue"}'},
    ],
)
def test_labels_come_from_the_model(tmp_path: Path, metadata: dict[str, str]) -> None:
    params = Infer(model=model(tmp_path, MEANS, **metadata), scores="raw")
    assert scores(params, plain(10, 20, 30)) == {"red": 10, "green": 20, "blue": 30}


def test_a_file_of_labels_goes_before_those_of_the_model(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_bytes("\ufeffröd\r\ngrön\r\nblå\r\n".encode())
    params = Infer(model=model(tmp_path, MEANS, labels="a,b,c"), labels=str(labels), scores="raw")
    assert scores(params, plain(10, 20, 30)) == {"röd": 10, "grön": 20, "blå": 30}


ARGMAX = (
    "argmax (float[1, 3, h, w] x) => (int64[1] y) "
    "{ m = ReduceMean <axes = [2, 3], keepdims = 0> (x) y = ArgMax <axis = 1, keepdims = 0> (m) }"
)


@pytest.mark.parametrize(("labels", "said"), [("red,green,blue", "blue"), ("", 2), ("red,green", "2")])
def test_a_class_number_becomes_its_label(tmp_path: Path, labels: str, said: str | int) -> None:
    assert found(Infer(model=model(tmp_path, ARGMAX, labels=labels)), plain(1, 2, 3)) == {"y": said}


def test_numbers_have_six_digits_and_are_ready_for_json(tmp_path: Path) -> None:
    said = found(Infer(model=model(tmp_path, MEAN), scale=(1 / 3,)), plain(100))
    assert json.dumps(said) == '{"y": 33.3333}'


def test_a_second_model_does_not_overwrite_what_the_first_found(tmp_path: Path) -> None:
    once = build(Infer())
    other = build(Infer(model=model(tmp_path, MEAN)))
    [first] = once(plain(200))
    [second] = other(first)
    [third] = once(second)
    [fourth] = once(third)
    names = ["label", "sharpness", "exposure", "contrast"]
    assert list(fourth.found) == [*names, "y", *(f"{name}_2" for name in names), *(f"{name}_3" for name in names)]
    assert fourth.found["exposure_3"] == fourth.found["exposure"] == first.found["exposure"]


def test_a_name_that_is_taken_moves_all_of_a_models_findings_together() -> None:
    [out] = build(Infer())(Sample(plain(200).pixels, found={"label": "cat", "sharpness_2": 1}))
    assert list(out.found) == ["label", "sharpness_2", "label_3", "sharpness_3", "exposure_3", "contrast_3"]


# What is refused

FLAT = "flat (float[1, 3, h, w] x) => (float[1, k] y) <int64[2] s = {1, -1}> { y = Reshape (x, s) }"
PICKY = "picky (float[1, 3, h, w] x) => (float[1, 4] y) <int64[2] s = {1, 4}> { y = Reshape (x, s) }"


@pytest.mark.parametrize(
    ("graph", "params", "words"),
    [
        (SMALL, {"width": 9}, "own is 7"),
        (MEANS, {"mean": (1, 2)}, "mean has 2 numbers"),
        ("m (uint8[1, 3, h, w] x) => (int64[4] y) { y = Shape (x) }", {"scale": (2,)}, "leave mean and scale empty"),
        ("m (float[1, 3, h, w] x) => (float[1, 3, h, w] y) { y = Relu (x) }", {}, "output y is float32 of shape"),
        ("m (float[1, 3, h, w] x, float[1] z) => (float[1, 3, h, w] y) { y = Add (x, z) }", {}, "takes x .* z "),
        ("m (float[1, 9] x) => (float[1, 9] y) { y = Relu (x) }", {}, "four dimensions"),
        ("m (double[1, 3, h, w] x) => (double[1, 3] y) { y = ReduceMean <axes = [2, 3]> (x) }", {}, "double"),
        ("m (float[1, 5, h, w] x) => (int64[4] y) { y = Shape (x) }", {}, "1, 3 or 4 channels"),
        ("m (float[8, 3, h, w] x) => (int64[4] y) { y = Shape (x) }", {}, "batches of one"),
        (FLAT, {}, "same length"),
        (PICKY, {}, "width and height"),
        ("m (float[1, 3, h, w] x) => (float[1, 3] y) { y = NoSuchThing (x) }", {}, "cannot open"),
    ],
)  # fmt: skip
def test_a_model_or_parameters_that_can_never_work_are_refused_at_once(
    tmp_path: Path, graph: str, params: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadParametersError, match=words):
        build(Infer(model=model(tmp_path, graph), **params))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(BadParametersError, match="cannot open"):
        build(Infer(model=str(path)))
    with pytest.raises(BadParametersError, match="no model file"):
        build(Infer(model=str(tmp_path / "missing.onnx")))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"a\nb\n", "2 labels fit no output"), (b"\xff\xfe\xfa", "cannot read"), (None, "cannot read")],
)
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    labels = tmp_path / "labels.txt"
    if content is not None:
        labels.write_bytes(content)
    with pytest.raises(BadParametersError, match=words):
        build(Infer(model=model(tmp_path, MEANS), labels=str(labels)))


def test_an_image_on_which_the_model_fails_is_rejected(tmp_path: Path) -> None:
    half = (
        "m (float[1, 1, h, w] x) => (float[1] y) <int64[4] s = {1, 16, 2, -1}>"
        "{ r = Reshape (x, s) y = ReduceMean <axes = [1, 2, 3], keepdims = 0> (r) }"
    )
    ask = build(Infer(model=model(tmp_path, half)))
    assert next(iter(ask(plain(7, width=8, height=8)))).found == {"y": 7}
    with pytest.raises(Rejected) as verdict:
        list(ask(plain(7, width=3, height=3)))
    assert verdict.value.code == "model-failed"
    assert "3x3" in verdict.value.message


def test_a_number_that_is_not_finite_rejects_the_image(tmp_path: Path) -> None:
    logarithm = (
        "m (float[1, 1, h, w] x) => (float[1] y) { l = Log (x) y = ReduceMax <axes = [1, 2, 3], keepdims = 0> (l) }"
    )
    ask = build(Infer(model=model(tmp_path, logarithm)))
    with pytest.raises(Rejected, match="not a finite number"):
        list(ask(plain(0)))


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on memory, which only Linux keeps")
def test_want_of_memory_is_told_from_a_model_that_fails() -> None:
    script = """
import resource, numpy as np
from imgflow_steps.contract.sample import Sample
from imgflow_steps.infer import Infer
from imgflow_steps.infer.work import build
ask, pixels = build(Infer()), np.zeros((4000, 6000, 1), np.uint8)
resource.setrlimit(resource.RLIMIT_DATA, (300 << 20, 300 << 20))
try:
    list(ask(Sample(pixels)))
except MemoryError:
    print("MemoryError")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "MemoryError\n"


# A real trained model


def line_of_text(text: str) -> Image.Image:
    """A line as a text detector cuts it out: tight, in the proportions of the model's input."""
    font = ImageFont.load_default(48)
    image = Image.new("RGB", (256, 64), "white")
    ImageDraw.Draw(image).text((8, 32), text, fill="black", font=font, anchor="lm")
    return image


@pytest.mark.parametrize("text", ["Harbour", "Station", "Town hall", "Utrecht"])
@pytest.mark.parametrize("degrees", [0, 180])
def test_a_trained_classifier_tells_upright_text_from_text_upside_down(tmp_path: Path, text: str, degrees: int) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("0\n180\n")
    params = Infer(
        model=str(TEXT_DIRECTION),
        labels=str(labels),
        width=192,
        height=48,
        order="bgr",
        mean=(127.5,),
        scale=(1 / 127.5,),
    )
    [said] = found(params, Sample(np.asarray(line_of_text(text).rotate(degrees)))).values()
    assert said["label"] == str(degrees)
    assert said["score"] > 0.9
    assert sum(score for _, score in said["top"]) == pytest.approx(1, abs=1e-5)


def test_onnx_runtime_keeps_no_session_for_its_maker(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    script = "from imgflow_steps.infer import Infer, work; work.build(Infer())"

    subprocess.run([sys.executable, "-c", script], env={**env, "TMPDIR": str(tmp_path)}, check=True)

    assert list(tmp_path.iterdir()) == []
