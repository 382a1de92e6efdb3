"""Whether other decoders see what ours sees: Pillow reading the whole file, and libvips with every doubt an error."""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
import pyvips
from PIL import Image, ImageFile, ImageOps

from imgflow_steps.codec import Decoded
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.pixels.arrays import to_image

SIDE = 16  # pixels of what is compared
ALIKE, OTHER = 4, 16  # mean difference, of 255: two decoders agree below the first, and ours is wrong above the second
PLAIN = {"L", "RGB"}  # modes of which nobody has an opinion of their own
COLOUR = {"icc_profile", "gamma", "chromaticity", "transparency", "adobe_transform"}
OF_THE_FILE = {"truncated", "undecodable"}

OPINION = "read, but with colours of which decoders think differently"

Small = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def differs(data: bytes, ours: Decoded | Rejected) -> str:
    """What is doubtful about our answer to a file: "" where the others say the same, or do not agree themselves."""
    pillow, vips = _of_pillow(data), _of_vips(data)
    if pillow is None and vips is None:
        return "" if isinstance(ours, Rejected) else "accepted where both others reject"
    if not isinstance(pillow, np.ndarray) or not isinstance(vips, np.ndarray) or _apart(pillow, vips) >= ALIKE:
        return ""
    if isinstance(ours, Rejected):
        return f"false rejection ({ours.code})" if ours.code in OF_THE_FILE else ""
    return "wrong pixels" if _apart(_small(to_image(ours.pixels)), pillow) > OTHER else ""


def _small(image: Image.Image) -> Small:
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)


def _apart(one: Small, other: Small) -> float:
    return float(np.abs(one - other).mean())


def _of_pillow(data: bytes) -> Small | str | None:
    """What Pillow makes of the whole file; None where it refuses."""
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with warnings.catch_warnings(), Image.open(BytesIO(data)) as image:
            warnings.simplefilter("ignore")
            image.load()
            if image.mode not in PLAIN or COLOUR & image.info.keys():
                return OPINION
            return _small(ImageOps.exif_transpose(image))
    except Exception:  # noqa: BLE001 - whatever it says: it does not read this
        return None


def _of_vips(data: bytes) -> Small | str | None:
    """What libvips makes of it with every warning an error; None where it refuses or does not know the format."""
    try:
        image = pyvips.Image.new_from_buffer(data, "", fail_on="warning").autorot()
        if image.format != "uchar" or image.bands not in {1, 3}:
            image.avg()  # whether it can be read
            return OPINION
        pixels = image.numpy()
    except Exception:  # noqa: BLE001 - as above
        return None
    return _small(Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and image.bands == 1 else pixels))
