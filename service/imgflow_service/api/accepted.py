"""Which form of an answer a client would have, by the header ``Accept`` with its weights (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Sequence

WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
REFUSED, UNSAID = -1.0, 0.0


def chosen(accept: str, kinds: Sequence[str]) -> str:
    """The media type of these that is liked best; of several the one that is named, then the first.

    The first where no other is asked for and it is not refused: a picture is better than none.
    """
    return max(kinds, key=lambda kind: _liked(accept, kind))


def _liked(accept: str, kind: str) -> tuple[float, int]:
    """Weight of a media type, REFUSED for 0, and how precisely it is named: the most precise range counts."""
    ranges = {kind: 3, f"{kind.partition('/')[0]}/*": 2, "*/*": 1}
    found = (0, UNSAID)
    for one in accept.split(","):
        name, *parameters = [part.strip() for part in one.split(";")]
        precise = ranges.get(name.lower(), 0)
        if precise > found[0]:
            found = (precise, _weight(parameters) or REFUSED)
    return found[1], found[0]


def _weight(parameters: Sequence[str]) -> float:
    given = [weight[1] for one in parameters if (weight := WEIGHT.fullmatch(one))]
    return float(given[0]) if given else 1.0
