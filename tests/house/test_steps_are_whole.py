"""Whoever adds a step is told which place is missing; CONTRIBUTING's "Add a step" is the same list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imgflow_steps.contract.step import Role, Step
from imgflow_steps.pipeline.registry import STEPS

PLACES = [
    "steps/imgflow_steps/<name>/__init__.py",
    "steps/imgflow_steps/<name>/work.py",
    "tests/steps/test_<name>.py",
    "images/<container>/Dockerfile",
]
FOLDERS = [
    path.parent.name
    for path in sorted((Path(__file__).parents[2] / "steps/imgflow_steps").glob("*/__init__.py"))
    if "STEP" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
@pytest.mark.parametrize("place", PLACES)
def test_a_step_is_in_every_place(root: Path, step: Step, place: str) -> None:
    path = place.replace("<name>", step.name).replace("<container>", step.container or step.name)

    assert (root / path).is_file(), f"step {step.name} misses {path}; see CONTRIBUTING.md, Add a step"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_with_a_step_is_in_the_table_under_its_own_name(name: str) -> None:
    assert name in STEPS, f"{name} is missing in STEPS of imgflow_steps.pipeline.registry"
    assert STEPS[name].name == name
    assert re.fullmatch("[a-z]+", name)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_a_step_declares_whole_parameters(step: Step) -> None:
    assert step.summary.endswith(".")
    assert step.version >= 1
    for name, field in step.params.model_fields.items():
        assert not field.is_required(), f"{step.name}.{name} has no default"
        assert field.description, f"{step.name}.{name} has no description"


def test_one_step_is_first_one_last_and_the_table_is_in_that_order() -> None:
    roles = [step.role for step in STEPS.values()]

    assert roles == [Role.FIRST, *[Role.PIXELS] * (len(roles) - 2), Role.LAST]


def test_contributing_tells_the_same_places(root: Path) -> None:
    told = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")

    assert [place for place in PLACES if f"`{place}`" not in told] == []
