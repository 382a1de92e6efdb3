"""What goes into a model: pixels of any picture, brought to the shape and the units that the model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer import Infer
from imgflow_steps.pixels.arrays import to_image, to_luma, to_pixels
from imgflow_steps.pixels.resize import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgflow_steps.contract.sample import Pixels

Number = type[np.float32 | np.float16 | np.uint8]

DTYPES: dict[str, Number] = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
ALPHA = 4  # channels of a model that takes alpha itself


@dataclass(frozen=True, slots=True)
class Intake:
    """The one input of a model. Width and height in pixels, 0 where it takes the image's own."""

    name: str
    dtype: Number
    channels: int
    channels_first: bool
    width: int
    height: int
    backwards: bool  # blue before green before red
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def tensor(self, pixels: Pixels) -> NDArray[Any]:
        """A batch of one, NCHW or NHWC: alpha over white, channels and size as asked, (pixel - mean) * scale."""
        values: NDArray[Any] = self._pixels(pixels)
        if self.backwards:
            values = values[:, :, [2, 1, 0, *range(3, self.channels)]]
        if self.dtype is not np.uint8:
            values = values.astype(np.float32)
            if self.mean:
                values -= np.asarray(self.mean, np.float32)
            if self.scale:
                values *= np.asarray(self.scale, np.float32)
            values = values.astype(self.dtype, copy=False)
        if self.channels_first:
            values = values.transpose(2, 0, 1)
        return np.ascontiguousarray(values)[np.newaxis]

    def _pixels(self, pixels: Pixels) -> Pixels:
        height, width, channels = pixels.shape
        size = (self.width or width, self.height or height)
        if size == (width, height) and channels == self.channels:
            return pixels
        image = to_image(pixels if size == (width, height) else resize(pixels, *size, by="bilinear"))
        if image.mode in {"LA", "RGBA"} and self.channels != ALPHA:
            opaque = Image.new("RGBA", image.size, "white")
            opaque.alpha_composite(image.convert("RGBA"))
            image = opaque.convert("RGB")
        return to_pixels(
            to_luma(image) if self.channels == 1 else image.convert("RGBA" if self.channels == ALPHA else "RGB")
        )


def intake(inputs: list[Any], params: Infer) -> Intake:
    """What the model says of its input, completed by parameters where it leaves something open.

    Raises BadParametersError when the input is no picture, or when parameters contradict it.
    """
    said = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
    if len(inputs) != 1 or inputs[0].type not in DTYPES or len(inputs[0].shape) != 4:  # noqa: PLR2004 - N, C, H, W
        raise BadParametersError(
            f"the model takes {said}; supported is one input of four dimensions (NCHW or NHWC), float, float16 or uint8"
        )
    [one] = inputs
    batch, *sizes = [size if isinstance(size, int) and size > 0 else 0 for size in one.shape]
    channels_first = sizes[0] in {1, 3, 4}
    channels, height, width = sizes if channels_first else (sizes[2], sizes[0], sizes[1])
    if batch > 1 or channels not in {1, 3, 4}:
        raise BadParametersError(f"the model takes {said}; supported are 1, 3 or 4 channels and batches of one image")
    dtype = DTYPES[one.type]
    if dtype is np.uint8 and (params.mean or params.scale):
        raise BadParametersError(f"the model takes {said}, pixels as they are: leave mean and scale empty")
    return Intake(
        name=one.name,
        dtype=dtype,
        channels=channels,
        channels_first=channels_first,
        width=_size("width", width, params.width),
        height=_size("height", height, params.height),
        backwards=params.order == "bgr" and channels != 1,
        mean=_per_channel("mean", params.mean, channels),
        scale=_per_channel("scale", params.scale, channels),
    )


def _size(name: str, own: int, asked: int) -> int:
    if own and asked and own != asked:
        raise BadParametersError(f"{name} {asked} does not fit: the model's own is {own}; leave it 0")
    return own or asked


def _per_channel(name: str, values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) not in {0, 1, channels}:
        raise BadParametersError(f"{name} has {len(values)} numbers; the model takes one, or {channels}: one a channel")
    return values
