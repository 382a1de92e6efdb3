"""Lint says which steps do nothing or too much where they stand, and has nothing to say of a good pipeline."""

from __future__ import annotations

from typing import Any

import pytest

from imgflow_steps.pipeline.lint import doubts
from imgflow_steps.pipeline.model import parse
from imgflow_workflows.submit.default import DEFAULT


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"steps": ["grayscale", "scale", "grayscale"]}, "step 3, grayscale: does nothing: step 1, grayscale"),
        ({"steps": ["rotate:360"]}, "step 1, rotate: does nothing"),
        ({"steps": ["split:1x1"]}, "step 1, split: does nothing"),
        ({"steps": ["split:16x16", "augment:1", "blur"]}, "step 2, augment: makes 512 pictures"),
        ({"steps": ["split:3x2"], "limits": {"pieces": 5}}, "makes 6 pictures of each image; limits.pieces allows 5"),
        (
            {"steps": ["infer", {"redact": {"score": 0.1}}]},
            "step 2, redact: score: 0.1 covers no more: infer keeps nothing",
        ),
        (
            {"steps": ["infer", {"infer": {"read": "vector"}}, "redact"]},
            "step 2, infer: keeps vectors of what is covered",
        ),
        ({"steps": ["redact", "scale"]}, "step 1, redact: has no model before it: it covers only boxes"),
        ({"steps": ["infer", "redact", "infer"]}, "step 3, infer: sees only what step 2, redact, leaves"),
        (
            {"steps": ["infer", {"redact": {"labels": ["licence plate"], "by": "mosaic"}}]},
            "step 2, redact: licence plate can be read from 4 cells",
        ),
        ({"steps": ["scale"], "output": "none"}, "output.format: none publishes findings only"),
        ({"steps": ["infer", "blur", "infer", "scale"], "output": "none"}, "step 4, scale: is for nothing"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_told_once_and_with_its_place(document: dict[str, Any], told: str) -> None:
    [fault] = doubts(parse(document))
    assert told in str(fault)


@pytest.mark.parametrize(
    "document",
    [
        DEFAULT.model_dump(mode="json"),
        {"steps": ["scale", "infer"], "output": "none"},
        {"steps": ["infer", "blur", "infer"], "output": "none"},
        {"steps": ["split:16x16"]},
        {"steps": ["infer", "redact"]},
        {"steps": [{"infer": {"score": 0.1}}, {"redact": {"score": 0.1}}]},
        {"steps": ["infer", {"redact": {"labels": ["plate"], "by": "mosaic", "cells": 2}}]},
        {"steps": ["infer", {"redact": {"labels": ["face"], "by": "mosaic"}}]},
        {"steps": ["split:1px", "augment"]},
        {"steps": ["blur", "blur", "scale:50%", "scale:50%"]},
    ],
    ids=str,
)
def test_of_a_pipeline_that_makes_sense_nothing_is_said(document: dict[str, Any]) -> None:
    assert doubts(parse(document)) == []


def test_every_doubt_is_told_in_the_order_of_the_steps() -> None:
    found = doubts(parse({"steps": ["rotate:0", "grayscale", "split:1x1", "grayscale"], "output": "none"}))
    assert [fault.place for fault in found] == [
        ("steps", 0, "rotate"),
        ("steps", 2, "split"),
        ("steps", 3, "grayscale"),
        ("output", "format"),
    ]
