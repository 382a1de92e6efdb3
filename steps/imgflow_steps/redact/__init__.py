"""Cover what was found."""

from typing import Literal

from pydantic import Field

from imgflow_steps.contract.step import Params, Step


class Redact(Params):
    """Cover things that a model before it has found, so that a picture may be shown."""

    labels: tuple[str, ...] = Field(default=(), description="Labels of things to cover; empty: all that were found.")
    score: float = Field(default=0, ge=0, le=1, description="Leave things uncovered that are less certain than this.")
    by: Literal["fill", "mosaic", "blur"] = Field(
        default="fill",
        description="fill: one colour, nothing can be read from it; mosaic: few large cells; blur: the same, smoothed.",
    )
    cells: int = Field(
        default=4, ge=1, le=8, description="Cells of a mosaic along the longer side, however large it is."
    )
    shape: Literal["box", "ellipse"] = Field(default="box", description="An ellipse goes around the whole box.")
    margin: int = Field(default=30, ge=0, le=200, description="Cover more, on every side, in percent of that side.")
    colour: Literal["black", "gray", "white"] = Field(default="gray", description="Colour of fill.")
    none: Literal["keep", "reject"] = Field(
        default="keep", description="What becomes of an image in which nothing was found to cover."
    )


STEP = Step(
    name="redact",
    params=Redact,
    version=3,
    container="transform",
    short={"{by}": {}},
    hides=True,
)
