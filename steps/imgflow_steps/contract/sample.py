"""What a step is given and gives back: one decoded picture, or the verdict on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


class Rejected(Exception):  # noqa: N818 - a verdict on an image, not a fault of the program
    """The image itself is at fault; it is put aside with a code and never retried by itself."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


Extent = tuple[float, float, float, float]  # left, upper, right, lower, in pixels
Affine = tuple[float, float, float, float, float, float]  # a, b, c, d, e, f: (x, y) to (ax + by + c, dx + ey + f)
WHOLE: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
MANUAL = "manual"  # in ``found``: boxes that people gave; no model may take the name


@dataclass(frozen=True, slots=True)
class Sample:
    """One decoded picture on its way through the steps.

    ``pixels`` is uint8 of shape (height, width, channels); 1, 2, 3 or 4 channels are L, LA, RGB or RGBA
    (alpha not premultiplied, colour in sRGB). ``piece`` is "" for the whole image, else ``[a-z0-9]+``
    joined by ``-`` for what a step cut out of it. ``found`` is what models said, ready for JSON. ``extent`` is
    the part of the pixels that is picture, where a decoder that divided its sides filled up the last pixel;
    None is all of them. Only steps up to the one whose ``target`` the decode plan obeys ever meet one.
    ``image`` is the key of the image below its source: the same on every machine and in every shard,
    which is all that a step may rely on. ``at`` takes a place in ``pixels`` to the same place in the upright
    source, both in pixels, a pixel's middle at its half: whoever moves pixels composes it. ``exif`` is a block that is
    written with it in the end; b"" for none.
    """

    pixels: Pixels
    piece: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)
    extent: Extent | None = None
    image: str = ""
    at: Affine = WHOLE
    exif: bytes = b""

    def cut(self, name: str, pixels: Pixels, at: Affine | None = None) -> Sample:
        """One of several pieces that a step makes of this one; ``at`` of its own where it shows another part.

        A step that calls this for one of its results calls it for all of them, each with a ``name`` of its own
        of ``[a-z0-9]+``: so no two pieces of an image are ever called the same, whatever steps follow each other.
        """
        piece = f"{self.piece}-{name}" if self.piece else name
        return replace(self, pixels=pixels, piece=piece, at=at or self.at)


Apply = Callable[[Sample], Iterable[Sample]]


def beside(earlier: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Both findings. A model whose names are taken keeps its own together: ``label_2``, ``score_2``."""
    number, names = 1, {name: name for name in new}
    while any(name in earlier for name in names.values()):
        number += 1
        names = {name: f"{name}_{number}" for name in new}
    return {**earlier, **{names[name]: value for name, value in new.items()}}
