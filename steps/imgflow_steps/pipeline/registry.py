"""Every step that there is, by its name."""

from __future__ import annotations

from imgflow_steps import augment, blur, collect, crop, grayscale, infer, normalize, redact, rotate, scale, split
from imgflow_steps import list as list_step
from imgflow_steps.contract.step import Role, Step

STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        list_step.STEP,
        scale.STEP,
        grayscale.STEP,
        crop.STEP,
        rotate.STEP,
        split.STEP,
        blur.STEP,
        normalize.STEP,
        augment.STEP,
        infer.STEP,
        redact.STEP,
        collect.STEP,
    )
}


PIXEL_STEPS: dict[str, Step] = {name: step for name, step in STEPS.items() if step.role is Role.PIXELS}


ALIASES = {alias: step.name for step in PIXEL_STEPS.values() for alias in step.aliases}
