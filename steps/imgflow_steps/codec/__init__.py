"""The only door between bytes and pixels.

Before the first step every picture becomes uint8 (height, width, channels) with 1 to 4 channels: L, LA, RGB or
RGBA, upright, in sRGB, alpha not premultiplied. After the last step one encoder makes bytes of it again.
What a file tells of its picture is read on the way (``metadata``) and goes out with a result only where that is asked.
"""

from imgflow_steps.codec.decoding import Decoded, Header, decode, header
from imgflow_steps.codec.encoding import encode, thumbnail, thumbnail_of, thumbnail_of_all
from imgflow_steps.contract.options import CONTENT_TYPE, SUFFIX

__all__ = [
    "CONTENT_TYPE",
    "SUFFIX",
    "Decoded",
    "Header",
    "decode",
    "encode",
    "header",
    "thumbnail",
    "thumbnail_of",
    "thumbnail_of_all",
]
