"""What a pipeline says beside its steps: the one encoding, the limits, what has to be decoded."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

# What the door between bytes and pixels does is part of every result, so part of every digest.
PICTURE_VERSION = 5

PATIENCE = 10  # seconds that an image may take on the clock, for each second of processor time that it may use


Metadata = Literal["strip", "keep", "keep-no-gps"]

# Of pictures that are published, by format.
SUFFIX = {"jpeg": "jpg", "png": "png", "webp": "webp"}
CONTENT_TYPE = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
SUFFIX_OF_TYPE = {CONTENT_TYPE[one]: suffix for one, suffix in SUFFIX.items()}


class Encoding(BaseModel):
    """The one lossy encoding, after the last step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["jpeg", "png", "webp", "none"] = Field(default="jpeg", description="none: publish findings only.")
    quality: int = Field(default=85, ge=1, le=100, description="JPEG and WebP quality.")
    metadata: Metadata = Field(
        default="strip", description="EXIF in results: none, all but notes of makers, or the same without the position."
    )

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        return {"format": given} if isinstance(given, str) else given

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        if self.metadata == "strip":  # so that it adds nothing to the digests of pipelines that do not ask
            written.pop("metadata", None)
        return written

    @field_validator("format", mode="before")
    @classmethod
    def _read_format(cls, given: Any) -> Any:
        return "jpeg" if given == "jpg" else given


class Limits(BaseModel):
    """What a single image may cost; beyond it the image is rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(default=256 << 20, ge=1, description="Size of the encoded image, in bytes.")
    pixels: int = Field(default=200_000_000, ge=1, description="Width times height, in pixels.")
    seconds: float = Field(default=60, gt=0, le=3600, description="Processor time in all steps together, in seconds.")
    memory: int = Field(default=2 << 30, ge=256 << 20, description="Memory of one computing process, in bytes.")
    pieces: int = Field(default=256, ge=1, le=10_000, description="Pictures that steps may make of it.")

    @property
    def patience(self) -> float:
        """Seconds on the clock after which an image is given up without a verdict: something keeps it waiting."""
        return PATIENCE * self.seconds


class DecodePlan(BaseModel):
    """What the first step of a pipeline needs at most, so that no more is decoded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    luma: bool = False
    width: int = Field(default=0, ge=0, description="Box in upright pixels; 0: every pixel.")
    height: int = Field(default=0, ge=0)
    mode: Literal["fit", "cover", "exact"] = "fit"
    metadata: Metadata = "strip"
