"""--set: one parameter, by name and position."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgflow_steps.records.run import Run
from imgflow_steps.store import Store
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.settings import Settings
from imgflow_workflows.submit.request import Submission, build

TWICE = "steps: [{scale: {width: 100}}, grayscale, {scale: {width: 50}}]"


def asked(store: Store, *changes: str, pipeline: str = "") -> Run:
    path = Path("pipeline.yaml")
    path.write_text(pipeline)
    return build(Submission("Demo", pipeline=path if pipeline else None, changes=changes), Settings(), store).run


def params(run: Run, position: int) -> dict[str, Any]:
    return run.pipeline.steps[position - 1].params.model_dump()


def test_a_step_is_named_by_itself_where_it_occurs_once(demo: Store) -> None:
    run = asked(demo, "scale.width=512", "scale.mode=cover", "scale.enlarge=true")

    assert params(run, 1) == {"width": 512, "height": 768, "mode": "cover", "percent": 0, "enlarge": True}


def test_a_step_is_named_by_its_position_where_it_occurs_twice(demo: Store) -> None:
    run = asked(demo, "scale.3.width=7", pipeline=TWICE)

    assert (params(run, 1)["width"], params(run, 3)["width"]) == (100, 7)


def test_a_step_that_occurs_twice_has_to_be_told_apart(demo: Store) -> None:
    with pytest.raises(ImgflowError, match=r"occurs 2 times; say which: scale\.1, scale\.3"):
        asked(demo, "scale.width=7", pipeline=TWICE)


def test_list_collect_output_and_limits_have_parameters_too(demo: Store) -> None:
    run = asked(demo, "list.samples=5", "collect.max_rejected=20", "output.format=webp", "limits.seconds=2.5")

    assert run.list.samples == 5
    assert run.collect.max_rejected == "20"
    assert run.pipeline.output.format == "webp"
    assert run.pipeline.limits.seconds == 2.5


@pytest.mark.parametrize("text", ["1,2.5,3", "[1, 2.5, 3]"])
def test_a_list_is_written_with_commas(demo: Store, text: str) -> None:
    assert params(asked(demo, f"infer.mean={text}"), 3)["mean"] == (1, 2.5, 3)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ("scale.widht=3", "did you mean 'width'?"),
        ("scael.width=3", "did you mean 'scale'?"),
        ("grayscale.depth=3", "it has none"),
        ("scale.width=wide", "--set scale.width=wide: width: Input should be a valid integer"),
        ("scale.width=0", "greater than or equal to 1"),
        ("scale", "STEP.PARAMETER=VALUE"),
        ("width=3", "STEP.PARAMETER=VALUE"),
        (".width=3", "STEP.PARAMETER=VALUE"),
        ("collect.max_rejected=many", "pattern"),
    ],
)
def test_a_wrong_change_is_answered_with_what_would_be_right(demo: Store, change: str, answer: str) -> None:
    with pytest.raises(ImgflowError) as caught:
        asked(demo, change)

    assert answer in f"{caught.value.message}\n{caught.value.hint}"
    assert change in caught.value.message
