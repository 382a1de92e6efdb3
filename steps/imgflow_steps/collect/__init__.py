"""Account for every image and show what became of it."""

from pydantic import Field

from imgflow_steps.contract.step import Params, Role, Step


class Collect(Params):
    """Check that no image was lost, and write the results and the report."""

    max_rejected: str = Field(
        default="100%",
        pattern=r"^(\d+|\d+(\.\d+)?%)$",
        description="How many listed images may be rejected before the run counts as failed: a number or a percentage.",
    )
    near: int = Field(
        default=6,
        ge=0,
        le=12,
        description="Bits, of 128, by which hashes of near-duplicates may differ.",
    )
    page: int = Field(default=500, ge=10, le=5000, description="Images on one page of the report's list.")
    sections: str = Field(
        default="folder",
        max_length=200,
        description="Sections of the report: folder, none, a column of the catalog, or what files tell, as camera.",
    )


STEP = Step(name="collect", params=Collect, version=1, role=Role.LAST)
