"""The pixels of a plain JPEG straight into numpy: the same as Pillow's, without its buffer and the copy out of it.

simplejpeg shows libjpeg-turbo the whole file at once. It is strict here: whatever the decoder has a doubt about is left
to Pillow, which has the last word on what is good and what is not. `bench/README.md` says what this is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import simplejpeg

if TYPE_CHECKING:
    from imgflow_steps.contract import Pixels

DCT_SIDE = 8  # pixels; below it a fraction of a side may be rounded up to the next one


def decode(data: bytes, size: tuple[int, int], reduction: int, *, luma: bool) -> Pixels | None:
    """uint8 (h, w, 1 or 3) of a JPEG of ``size`` pixels, sides divided by ``reduction`` and rounded up, as stored.

    None where the decoder warns or fails.
    """
    width, height = size
    if reduction > 1 and max(size) < DCT_SIDE:
        return None
    least = {"min_width": -(-width // reduction), "min_height": -(-height // reduction)} if reduction > 1 else {}
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, "GRAY" if luma else "RGB", **least)
    except ValueError:
        return None
    return pixels
