"""The only door between bytes and pixels.

Before the first step every picture becomes uint8 (height, width, channels) with 1 to 4 channels: L, LA, RGB or
RGBA, upright, in sRGB, alpha not premultiplied. After the last step one encoder makes bytes of it again.
Nothing else of a file travels: no position, no camera, no comment.
"""

from imgflow_steps.picture.decoding import Decoded, decode
from imgflow_steps.picture.encoding import CONTENT_TYPE, SUFFIX, encode, thumbnail, thumbnail_of, thumbnail_of_all

__all__ = ["CONTENT_TYPE", "SUFFIX", "Decoded", "decode", "encode", "thumbnail", "thumbnail_of", "thumbnail_of_all"]
