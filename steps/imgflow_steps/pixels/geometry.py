"""Which part of an image becomes how large inside a box. Pure functions over sizes.

The door between bytes and pixels asks this to know how little it may decode, the step that resizes asks
it to know what to do; so the two can never disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgflow_steps.contract.step import Target

# What is left to the good filter after a cheap reduction: this many pixels for each one of the result.
# At 1.9 photographs of 12 megapixels stay above 50 dB of a full decode with one LANCZOS,
# and a 4:3 camera picture of 4000 pixels still comes to 1024 by way of its half (3.9 = 2 x 1.95).
GAP = 1.9


@dataclass(frozen=True, slots=True)
class Fit:
    """The part ``box`` (left, upper, right, lower, in source pixels) of a source becomes ``width`` x ``height``."""

    width: int
    height: int
    box: tuple[float, float, float, float]

    @property
    def across(self) -> float:
        """Width of the box."""
        return self.box[2] - self.box[0]

    @property
    def down(self) -> float:
        """Height of the box."""
        return self.box[3] - self.box[1]

    @property
    def reduction(self) -> float:
        """Source pixels for each pixel of the result, along the axis that has fewer."""
        return min(self.across / self.width, self.down / self.height)


def place(width: float, height: float, target: Target, *, enlarge: bool = False) -> Fit:
    """How an image of ``width`` x ``height`` pixels comes into ``target``; a result has at least 1 pixel each way.

    fit: inside the box, proportions kept; without ``enlarge`` a smaller image stays as it is.
    cover: fills the box, what sticks out is cut, centred; without ``enlarge`` an image that would have to
    grow keeps its scale and is only cut.
    exact: the box itself, proportions lost; without ``enlarge`` an axis that is shorter stays as it is.

    An image reduced by 2, 4 or 8 beforehand, to sides that need not be whole, and still larger than its result, is
    placed at the same size.
    """
    if target.mode == "fit":
        return _fit(width, height, target, enlarge)
    if target.mode == "cover":
        return _cover(width, height, target, enlarge)
    across = target.width if enlarge else int(min(width, target.width))
    down = target.height if enlarge else int(min(height, target.height))
    return Fit(across, down, (0, 0, width, height))


def _fit(width: float, height: float, target: Target, enlarge: bool) -> Fit:
    whole = (0, 0, width, height)
    if not enlarge and width <= target.width and height <= target.height:
        return Fit(int(width), int(height), whole)
    if width * target.height >= height * target.width:
        return Fit(target.width, _share(height, target.width, width), whole)
    return Fit(_share(width, target.height, height), target.height, whole)


def _share(side: float, numerator: int, denominator: float) -> int:
    """``side * numerator / denominator``, rounded half up, exactly: sides are whole eighths, and floats hold those."""
    return max(1, int((2 * side * numerator + denominator) // (2 * denominator)))


def _cover(width: float, height: float, target: Target, enlarge: bool) -> Fit:
    if not enlarge and (width < target.width or height < target.height):
        across, down = int(min(width, target.width)), int(min(height, target.height))
        left, upper = (width - across) // 2, (height - down) // 2
        return Fit(across, down, (left, upper, left + across, upper + down))
    kept_across = min(width, max(1.0, height * target.width / target.height))
    kept_down = min(height, max(1.0, width * target.height / target.width))
    x, y = (width - kept_across) / 2, (height - kept_down) / 2
    return Fit(target.width, target.height, (x, y, x + kept_across, y + kept_down))
