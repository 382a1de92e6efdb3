"""Bring an image into a box."""

from typing import Literal

from pydantic import Field

from imgflow_steps.contract import Params, Step, Target


class Scale(Params):
    """Fit an image inside a box, keeping its proportions."""

    width: int = Field(default=1024, ge=1, le=65_535, description="Width of the box, in pixels.")
    height: int = Field(default=768, ge=1, le=65_535, description="Height of the box, in pixels.")
    mode: Literal["fit", "cover", "exact"] = Field(
        default="fit",
        description="fit: inside the box; cover: fill the box and cut what sticks out, centred; exact: distort.",
    )
    enlarge: bool = Field(default=False, description="Also make images larger that are smaller than the box.")


def target(params: Scale) -> Target:
    """The box itself."""
    return Target(params.width, params.height, params.mode)


STEP = Step(name="scale", params=Scale, version=2, keeps_luma=True, target=target)
