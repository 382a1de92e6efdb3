"""The default pipeline, on one screen."""

from imgflow_steps.grayscale import Grayscale
from imgflow_steps.infer import Infer
from imgflow_steps.pipeline import Output, Pipeline, StepCall
from imgflow_steps.scale import Scale

DEFAULT = Pipeline(
    steps=(
        StepCall(name="scale", params=Scale(width=1024, height=768)),
        StepCall(name="grayscale", params=Grayscale()),
        StepCall(name="infer", params=Infer()),
    ),
    output=Output(format="jpeg", quality=85),
)
