"""What has to be decoded for a pipeline, and no more."""

from __future__ import annotations

from imgflow_steps.contract.options import DecodePlan
from imgflow_steps.contract.step import Target
from imgflow_steps.pipeline.model import Pipeline


def decode_plan(pipeline: Pipeline) -> DecodePlan:
    """Walk the steps backwards from the result and say what the first one needs at most.

    Luma alone is enough from a step that drops colour back through all that keep luma; a box holds
    from the step that names it back through all whose pixels depend on the same pixel only.
    """
    luma = False
    target: Target | None = None
    for call in reversed(pipeline.steps):
        step = call.step
        luma = step.drops_colour or (luma and step.keeps_luma(call.params))
        target = step.target(call.params) or (target if step.keeps_size else None)
    metadata = pipeline.output.metadata
    if target is None:
        return DecodePlan(luma=luma, metadata=metadata)
    return DecodePlan(luma=luma, width=target.width, height=target.height, mode=target.mode, metadata=metadata)
