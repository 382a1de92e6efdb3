"""Find what there is to do."""

from typing import Literal

from pydantic import Field

from imgflow_steps.contract import Params, Role, Step


class List(Params):
    """List a municipality's images, leave out what is done, and cut the rest into shards."""

    shard_size: int = Field(default=0, ge=0, le=1_000_000, description="Images per shard; 0 chooses.")
    nodes: int = Field(default=1, ge=1, le=100_000, description="Nodes or processes to keep busy.")
    layout: Literal["auto", "steps", "fused"] = Field(
        default="auto",
        description="steps: a container per step and shard; fused: all steps in one process; auto: chooses.",
    )
    retry: Literal["failed", "rejected"] = Field(
        default="failed", description="What of earlier runs is tried again; rejected includes failed."
    )
    samples: int = Field(default=120, ge=0, le=1000, description="Images that the report shows.")


STEP = Step(name="list", params=List, version=1, role=Role.FIRST)
