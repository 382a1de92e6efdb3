"""Ask a model about an image."""

from typing import Literal

from pydantic import Field

from imgflow_steps.contract import File, Params, Step


class Infer(Params):
    """Run an ONNX image model and keep what it found beside the image."""

    model: File = Field(
        default="",
        description="ONNX file or store key; empty is the built-in quality model (sharpness, exposure, contrast).",
    )
    labels: File = Field(default="", description="Text file with one label a line; empty reads them from the model.")
    width: int = Field(default=0, ge=0, le=8192, description="Input width in pixels; 0 takes the model's own.")
    height: int = Field(default=0, ge=0, le=8192, description="Input height in pixels; 0 takes the model's own.")
    order: Literal["rgb", "bgr"] = Field(default="rgb", description="Order of the colour channels at the input.")
    mean: tuple[float, ...] = Field(
        default=(), max_length=4, description="Subtracted per channel, in 0-255 units; one number is for all channels."
    )
    scale: tuple[float, ...] = Field(
        default=(), max_length=4, description="Factor per channel after the mean; one number is for all channels."
    )
    scores: Literal["auto", "softmax", "raw"] = Field(
        default="auto",
        description="Class scores as they are (raw), or through softmax; auto: softmax unless they sum to 1 already.",
    )
    top: int = Field(default=3, ge=1, le=100, description="How many labels to keep per image.")


STEP = Step(name="infer", params=Infer, version=2, short={"{model}": {}}, finds=True)
