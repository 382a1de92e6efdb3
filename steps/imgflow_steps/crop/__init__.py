"""Keep a part of an image."""

from pydantic import Field

from imgflow_steps.contract.step import Params, Step, always


class Crop(Params):
    """Keep a part of an image: a box, or the largest of some proportions; centred unless told where."""

    width: int = Field(default=0, ge=0, le=65_535, description="Width of the box, in pixels; 0: all of it.")
    height: int = Field(default=0, ge=0, le=65_535, description="Height of the box, in pixels; 0: all of it.")
    left: int | None = Field(default=None, ge=0, description="Pixels left of the box; without it, it is centred.")
    top: int | None = Field(default=None, ge=0, description="Pixels above the box; without it, it is centred.")
    aspect: str = Field(
        default="1:1",
        pattern=r"^[1-9]\d{0,4}:[1-9]\d{0,4}$",
        description="Proportions of the largest possible box, if neither width nor height is given.",
    )


STEP = Step(
    name="crop",
    params=Crop,
    version=1,
    container="transform",
    short={"{width}x{height}+{left}+{top}": {}, "{width}x{height}": {}, "{aspect}": {}},
    off=("width", "height"),
    keeps_luma=always,
)
