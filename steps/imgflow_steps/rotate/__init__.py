"""Turn an image."""

from typing import Literal

from pydantic import Field

from imgflow_steps.contract.step import Params, Step, always


class Rotate(Params):
    """Turn an image clockwise; by quarters of a turn without touching a pixel."""

    degrees: float = Field(default=90, ge=-360, le=360, description="Angle, clockwise, in degrees.")
    expand: bool = Field(default=True, description="Make room for the corners; else the size stays and they are cut.")
    fill: Literal["black", "gray", "white"] = Field(default="black", description="Colour where there is no image.")


def idle(params: Rotate) -> bool:
    """Whether it comes round to where it was."""
    return params.degrees % 360 == 0


STEP = Step(
    name="rotate",
    params=Rotate,
    version=1,
    container="transform",
    short={"{degrees}": {}},
    keeps_luma=always,
    idle=idle,
)
