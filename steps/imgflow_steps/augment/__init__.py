"""Make variants of an image."""

from typing import Literal

from pydantic import Field

from imgflow_steps.contract.step import Params, Step


class Augment(Params):
    """Make variants of an image, by chance that the seed decides: the same ones every time and everywhere."""

    variants: int = Field(default=4, ge=1, le=100, description="How many to make of each image.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Another seed, other variants.")
    original: bool = Field(default=True, description="Keep the image as it is beside them.")
    flip: Literal["none", "horizontal", "vertical", "both"] = Field(
        default="horizontal", description="Along which axes every other variant is mirrored."
    )
    degrees: float = Field(default=10, ge=0, le=180, description="Largest turn either way, in degrees.")
    crop: float = Field(
        default=10, ge=0, le=90, description="Largest cut from either side, in percent; what is left is enlarged."
    )
    brightness: float = Field(default=15, ge=0, le=100, description="Largest change of brightness, in percent.")
    contrast: float = Field(default=15, ge=0, le=100, description="Largest change of contrast, in percent.")
    noise: float = Field(
        default=4, ge=0, le=64, description="Largest standard deviation of the noise, in levels of 255."
    )


def pieces(params: Augment) -> int:
    """The variants, and the image itself where it is kept."""
    return params.variants + params.original


STEP = Step(
    name="augment",
    params=Augment,
    version=1,
    container="transform",
    short={"{variants}:{seed}": {}, "{variants}": {}},
    pieces=pieces,
)
