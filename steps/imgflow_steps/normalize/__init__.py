"""Use all brightness there is."""

from typing import Literal

from pydantic import Field

from imgflow_steps.contract.step import Params, Step


class Normalize(Params):
    """Spread an image's levels over all 256 there are."""

    method: Literal["minmax", "percentile", "zscore", "equalize"] = Field(
        default="percentile",
        description="minmax: from the darkest to the brightest; percentile: the same without the extremes; zscore: the "
        "mean in the middle, this number of standard deviations on either side; equalize: every level as often.",
    )
    cut: float = Field(
        default=1, ge=0, lt=50, description="percentile: how much of an image is extreme, at either end, in percent."
    )
    deviations: float = Field(default=3, gt=0, le=10, description="zscore: standard deviations on either side.")
    channels: Literal["together", "each"] = Field(
        default="together", description="together: colours keep their balance; each: every channel by itself."
    )


STEP = Step(name="normalize", params=Normalize, version=1, container="transform", short={"{method}": {}})
