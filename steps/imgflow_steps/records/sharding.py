"""How many shards of what size, and in which layout. Pure functions over counts."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from imgflow_steps.contract.options import DecodePlan
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.decode_plan import decode_plan
from imgflow_steps.pipeline.model import Pipeline

MAX_SHARDS = 1000  # pods, DAG nodes and artifacts grow with shards; Argo's Workflow object holds about this many
SHARD_IMAGES = 1000  # enough work for a pod to pay for its start
SHARDS_PER_NODE = 2  # so that the last shard does not leave other nodes idle for long
LOCAL_SHARES = 16  # shards for each that is under way at the same time, where steps take turns without containers
STEPS_SHARDS = 50  # layout steps costs a pod per step and shard
STEPS_BYTES = 256 << 20  # and moves every shard's pixels through the store between steps
TYPICAL_PIXELS = 24_000_000  # what an image is taken to have where nothing bounds it

NO_STEPS = (
    "layout steps writes pixels into the store between steps, and a step of this pipeline is to cover some of them; "
    "choose layout fused, or auto"
)

Layout = Literal["steps", "fused"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run's images are cut: sizes in images and bytes, and why this layout."""

    images: int
    shards: int
    shard_size: int
    layout: Layout
    shard_bytes: int  # pixels of one shard between steps
    why: str


def cut(
    pipeline: Pipeline,
    *,
    images: int,
    shard_size: int,
    nodes: int,
    layout: str,
    local: bool = False,
    workers: int = 1,
) -> Plan:
    """Cut ``images`` images into shards, at least two per node and at most a thousand.

    ``shard_size`` 0 chooses; one that would give more than a thousand shards grows. ``local`` runs have no containers:
    there a shard costs nothing, and what its steps have done so far is lost when the process is killed.
    """
    least = LOCAL_SHARES * (workers + 1) if local and layout == "steps" else SHARDS_PER_NODE * nodes
    size = shard_size or max(1, min(SHARD_IMAGES, ceil(images / least)))
    size = max(size, ceil(images / MAX_SHARDS))
    shards = ceil(images / size)
    shard_bytes = size * bytes_between(decode_plan(pipeline))
    chosen, why = _hidden(layout) if pipeline.hides else _layout(layout, shards, shard_bytes, local=local)
    return Plan(images, shards, size, chosen, shard_bytes, why)


def _hidden(asked: str) -> tuple[Layout, str]:
    if asked == "steps":
        raise BadParametersError(NO_STEPS)
    return "fused", "pixels that a step is to cover are written nowhere between steps"


def _layout(asked: str, shards: int, shard_bytes: int, *, local: bool) -> tuple[Layout, str]:
    if asked == "steps":
        return "steps", "as asked"
    if asked == "fused":
        return "fused", "as asked"
    if local:
        return "fused", "on one machine nothing has to travel between steps"
    if shards > STEPS_SHARDS:
        return "fused", f"{shards} shards are more than the {STEPS_SHARDS} for which a pod per step pays"
    if shard_bytes > STEPS_BYTES:
        return "fused", f"about {shard_bytes >> 20} MB a shard between steps are more than {STEPS_BYTES >> 20} MB"
    return "steps", f"{shards} shard{'' if shards == 1 else 's'} of about {max(1, shard_bytes >> 20)} MB between steps"


def bytes_between(plan: DecodePlan) -> int:
    """Pixels of one image between steps, in bytes, at most: its box, or a camera's worth."""
    pixels = plan.width * plan.height or TYPICAL_PIXELS
    return pixels * (1 if plan.luma else 3)
