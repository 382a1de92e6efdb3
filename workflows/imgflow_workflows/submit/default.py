"""The default pipeline, on one screen."""

from imgflow_steps.contract.options import Encoding
from imgflow_steps.grayscale import Grayscale
from imgflow_steps.infer import Infer
from imgflow_steps.pipeline.model import Pipeline, StepCall
from imgflow_steps.scale import Scale

DEFAULT = Pipeline(
    steps=(
        StepCall(name="scale", params=Scale(width=1024, height=768)),
        StepCall(name="grayscale", params=Grayscale()),
        StepCall(name="infer", params=Infer()),
    ),
    output=Encoding(format="jpeg", quality=85),
)
