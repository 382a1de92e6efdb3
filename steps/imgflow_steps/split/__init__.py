"""Cut an image into pieces."""

from pydantic import Field

from imgflow_steps.contract.step import Params, Step, always


class Split(Params):
    """Cut an image into a grid of pieces; later steps apply to each of them."""

    columns: int = Field(default=2, ge=1, le=100, description="Pieces side by side.")
    rows: int = Field(default=1, ge=1, le=100, description="Pieces one above another.")
    tile: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="Side of square pieces, in pixels, instead of columns and rows; the last may be smaller. 0: off.",
    )


def pieces(params: Split) -> int:
    """How many there will be; of tiles that depends on the image."""
    return 0 if params.tile else params.columns * params.rows


def idle(params: Split) -> bool:
    """Whether the only piece is the whole."""
    return pieces(params) == 1


STEP = Step(
    name="split",
    params=Split,
    version=1,
    container="transform",
    short={"halves": {}, "quarters": {"rows": 2}, "{columns}x{rows}": {}, "{tile}px": {}},
    true={"rows": 2},  # as requests of image services write it: left and right, top and bottom
    off=("tile",),
    keeps_luma=always,
    pieces=pieces,
    idle=idle,
)
