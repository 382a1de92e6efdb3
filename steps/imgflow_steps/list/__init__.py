"""Find what there is to do."""

from typing import Literal

from pydantic import Field

from imgflow_steps.contract.step import Params, Role, Step


class List(Params):
    """List a municipality's images, skip those that are done, and cut the rest into shards."""

    shard_size: int = Field(default=0, ge=0, le=1_000_000, description="Images per shard; 0 chooses.")
    nodes: int = Field(default=1, ge=1, le=100_000, description="Nodes or processes to keep busy.")
    layout: Literal["auto", "steps", "fused"] = Field(
        default="auto",
        description="steps: a container per step and shard; fused: all steps in one process; auto: chooses.",
    )
    retry: Literal["failed", "rejected"] = Field(
        default="failed", description="What of earlier runs is tried again; rejected includes failed."
    )
    include: str = Field(
        default="", description="Only images that fit one of these patterns, as in .gitignore, separated by commas."
    )
    exclude: str = Field(default="", description="No image whose path matches one of these patterns.")
    links: Literal["inside", "all"] = Field(
        default="inside", description="Which symbolic links of a source are followed: those that stay in it, or all."
    )
    known_by: Literal["status", "content"] = Field(
        default="status",
        description="How a file of a folder is recognized: by size, times and inode, or by its content, which is read.",
    )
    samples: int = Field(default=120, ge=0, le=1000, description="Images that the report shows.")
    thumbnails: Literal["samples", "all"] = Field(
        default="samples",
        description="Images of which the run makes small pictures: those, or all, for `imgflow view`.",
    )


STEP = Step(name="list", params=List, version=1, role=Role.FIRST)
