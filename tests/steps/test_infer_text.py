"""A real text finder, PP-OCR's as the package rapidocr ships it, on words that were drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rapidocr_onnxruntime
from PIL import Image, ImageDraw, ImageFont

from imgflow_steps.contract.sample import Sample
from imgflow_steps.infer import Infer
from imgflow_steps.infer.work import build
from imgflow_steps.redact import Redact
from imgflow_steps.redact import work as redact

MODEL = Path(rapidocr_onnxruntime.__file__).parent / "models/ch_PP-OCRv4_det_infer.onnx"
WORDS = {"Harbour": (60, 40), "Town hall": (300, 180), "Utrecht": (80, 300)}  # and where each begins
LINE = 40  # pixels of a letter


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    drawn = Image.new("RGB", (640, 384), "white")
    for word, at in WORDS.items():
        ImageDraw.Draw(drawn).text(at, word, fill="black", font=ImageFont.load_default(LINE))
    return drawn


@pytest.fixture(scope="module")
def asked() -> Infer:
    return Infer(model=str(MODEL), order="bgr", mean=(127.5,), scale=(1 / 127.5,), name="text")


def test_each_word_is_a_region_around_what_was_drawn(picture: Image.Image, asked: Infer) -> None:
    [said] = build(asked)(Sample(np.asarray(picture)))
    boxes = sorted(said.found["text"]["boxes"], key=lambda box: box[3])
    assert [box[0] for box in boxes] == ["region"] * len(WORDS)
    for (word, at), (_, score, left, upper, width, height) in zip(WORDS.items(), boxes, strict=True):
        drawn = ImageDraw.Draw(picture).textbbox(at, word, font=ImageFont.load_default(LINE))
        assert score > 0.5
        assert (left, upper) == pytest.approx(drawn[:2], abs=12)
        assert (left + width, upper + height) == pytest.approx(drawn[2:], abs=12)


def test_nothing_is_read_where_words_are_covered(picture: Image.Image, asked: Infer) -> None:
    [said] = build(asked)(Sample(np.asarray(picture)))
    [covered] = redact.build(Redact())(said)
    assert covered.pixels.min() >= 128, "white paper, and grey over the black of every letter"
