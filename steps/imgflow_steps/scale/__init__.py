"""Bring an image into a box."""

from typing import Literal

from pydantic import Field

from imgflow_steps.contract.step import Params, Step, Target, always

OPEN = 65_535  # of a box, for the side that the other one decides


class Scale(Params):
    """Fit an image inside a box, keeping its proportions."""

    width: int = Field(default=1024, ge=1, le=65_535, description="Width of the box, in pixels.")
    height: int = Field(default=768, ge=1, le=65_535, description="Height of the box, in pixels.")
    mode: Literal["fit", "cover", "exact"] = Field(
        default="fit",
        description="fit: inside the box; cover: fill the box and cut what sticks out, centred; exact: distort.",
    )
    percent: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Percent of the image's own width and height, instead of a box; 0: off.",
    )
    enlarge: bool = Field(default=False, description="Also make images larger that are smaller than the box.")


def target(params: Scale) -> Target | None:
    """The box itself; none where the image's own size decides."""
    return None if params.percent else Target(params.width, params.height, params.mode)


def idle(params: Scale) -> bool:
    """Whether it leaves every image at its own size."""
    return params.percent == 100  # noqa: PLR2004 - percent


STEP = Step(
    name="scale",
    params=Scale,
    version=2,
    aliases={"resize": {"{width}x{height}": {"mode": "exact", "enlarge": True}}},  # as libraries of pictures mean it
    short={
        "{percent}%": {},
        "{width}x{height}": {},
        "{width}x": {"height": OPEN},
        "x{height}": {"width": OPEN},
    },
    off=("percent",),
    keeps_luma=always,
    target=target,
    idle=idle,
)
