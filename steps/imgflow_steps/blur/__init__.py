"""Take detail out of an image."""

from typing import Literal

from pydantic import Field

from imgflow_steps.contract.step import Params, Step


class Blur(Params):
    """Take detail or noise out of an image."""

    kind: Literal["gaussian", "updownsampling", "bilateral", "median"] = Field(
        default="gaussian",
        description="gaussian: evenly; updownsampling: reduced and enlarged again; bilateral: between edges only; "
        "median: specks vanish, edges stay.",
    )
    radius: int = Field(
        default=2,
        ge=1,
        le=100,
        description="How far a pixel reaches, in pixels: the Gaussian's standard deviation, half of what "
        "updownsampling makes one, what the others look at on each side.",
    )
    edge: int = Field(
        default=40, ge=1, le=255, description="bilateral: difference in levels of 255 from which on an edge is kept."
    )


def keeps_luma(params: Blur) -> bool:
    """Only what adds pixels up gives the same for the sum of colours as for each; the others choose among them."""
    return params.kind in {"gaussian", "updownsampling"}


STEP = Step(
    name="blur",
    params=Blur,
    version=1,
    container="transform",
    short={"{kind}:{radius}": {}, "{kind}": {}},
    keeps_luma=keeps_luma,
)
