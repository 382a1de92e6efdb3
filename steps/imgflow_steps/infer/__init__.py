"""Ask a model about an image."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from imgflow_steps.contract.sample import MANUAL
from imgflow_steps.contract.step import File, Params, Step

READINGS = (
    *("auto", "scores", "number"),
    *("yolo", "yolo5", "yolox", "end2end", "detr", "ssd", "lists", "centerface", "scrfd", "yunet", "ultraface"),
    *("yolonas", "nms", "map", "classes", "vector"),
)
LATER = {"name", "read", "units", "fit", "score", "overlap", "most", "only", "tile", "device"}
OTHERS = {MANUAL: "what boxes that people gave are called", "redacted": "what redact says of what it has covered"}
PIECE = 160  # pixels, of which neighbouring pieces share 128
CUDA = "cuda"  # a device, and the container with all steps and an ONNX Runtime for it


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
    name: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9_]{0,39})?$",
        description="What its findings are called in rows; empty: the outputs' names, for things objects.",
    )
    read: Literal[READINGS] = Field(  # type: ignore[valid-type]  # the names are listed once
        default="auto",
        description="How the outputs are read: numbers and class scores, things with boxes in the layout of some "
        "family of detectors, a map of regions or of classes, a vector; auto decides by the model.",
    )
    units: Literal["auto", "pixels", "relative"] = Field(
        default="auto", description="Boxes in pixels of the input or relative to its sides; auto: as the layout has it."
    )
    fit: Literal["auto", "stretch", "letterbox"] = Field(
        default="auto",
        description="How a picture comes into the input: stretched, or whole with grey bars; auto: bars for boxes.",
    )
    score: float = Field(default=0.25, ge=0, le=1, description="Things with a lower score are dropped.")
    overlap: float = Field(
        default=0.45, ge=0, le=1, description="Of two boxes of a label that share more than this, the better one stays."
    )
    most: int = Field(default=300, ge=1, le=10_000, description="How many boxes to keep per image, the best ones.")
    only: tuple[str, ...] = Field(default=(), description="Labels of things to keep; empty: all.")
    tile: int = Field(
        default=0,
        ge=0,
        le=8192,
        description="Side of pieces to look at as well, in pixels, for small things in large pictures: at least 160, "
        "for neighbours share 128. 0: off.",
    )

    device: Literal["cpu", "cuda"] = Field(
        default="cpu",
        description="What computes the model: the processor, with the same bytes everywhere, or an NVIDIA card. Nobody "
        "has tried cuda on a card yet.",
    )

    @field_validator("name")
    @classmethod
    def _is_of_a_model(cls, name: str) -> str:
        if name in OTHERS:
            raise ValueError(f"{name} is {OTHERS[name]} in rows; take another name")
        return name

    @field_validator("tile")
    @classmethod
    def _is_a_piece(cls, tile: int) -> int:
        if 0 < tile < PIECE:
            raise ValueError(
                f"tile is 0 or at least {PIECE}: neighbours share 128 pixels, so smaller ones would be thousands"
            )
        return tile

    @model_serializer(mode="wrap")
    def _known_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What came later is written only where it is asked for: the digests of pipelines without it stay."""
        fields = type(self).model_fields
        return {
            name: value
            for name, value in write(self).items()
            if name not in LATER or getattr(self, name) != fields[name].default
        }


def _away(params: Infer) -> str:
    return CUDA if params.device == CUDA else ""


STEP = Step(name="infer", params=Infer, version=2, short={"{model}": {}}, finds=True, away=_away)
