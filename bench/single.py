"""One image, one core: bytes in memory to bytes in memory, in processor time, as geometric mean over images."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from bench.contenders import CONTENDERS, FLOOR, Contender, Maker, able, floor, imgflow, naive, pyvips, reference
from bench.measure import Bench, Line, geometric_mean, interleave, line, one_core, times
from bench.photographs import Photograph, photographs

MEDIAN, TENTH = 50, 45  # dB, the least that the quality of a counted figure is
TOP = 99.0  # dB, for equal pictures


@dataclass(frozen=True, slots=True)
class Group:
    """The same work on photographs of one kind, and the goals for it."""

    title: str
    box: tuple[int, int]
    grey: bool
    goals: dict[str, float]  # by contender: at least so many times as fast as it
    floor: float | None = None  # at most so many times the entropy floor
    large: bool = True

    @property
    def contenders(self) -> list[Contender]:
        """imgflow first; in colour only those whose figure is asked for."""
        makers: tuple[Maker, ...] = CONTENDERS if self.grey else (imgflow, naive, pyvips)
        chosen = [maker(self.box, grey=self.grey) for maker in makers]
        return [*chosen, floor()] if self.floor else chosen

    def fits(self, photograph: Photograph) -> bool:
        """Whether the group is about photographs of this size."""
        return photograph.large if self.large else photograph.small


GROUPS = (
    Group("8 to 24 MP to 512x512, grey", (512, 512), True, {"naive Pillow": 4.5, "pyvips thumbnail": 1.25}, floor=1.35),
    Group(
        "8 to 24 MP to 1024x768, grey", (1024, 768), True, {"naive Pillow": 3.3, "pyvips thumbnail": 1.25}, floor=1.7
    ),
    Group("0.2 to 1 MP to 512x512, grey", (512, 512), True, {"naive Pillow": 2}, large=False),
    Group("8 to 24 MP to 512x512, colour", (512, 512), False, {"pyvips thumbnail": 1}),
    Group("8 to 24 MP to 1024x768, colour", (1024, 768), False, {"pyvips thumbnail": 1}),
)


def measure(bench: Bench) -> Iterator[Line]:
    """The lines of every group."""
    taken = photographs(bench.images, bench.scratch, quick=bench.quick)
    for group in GROUPS:
        bench.tell(f"  {group.title}")
        yield from lines(group, [one for one in taken if group.fits(one)], bench.rounds)


def lines(group: Group, taken: Sequence[Photograph], rounds: int) -> Iterator[Line]:
    """Quality first, since without it the figures that follow do not count."""
    section = f"One image, one core: {group.title}"
    if not taken:
        yield Line(section, "all", note="not measured: there is no photograph of this size")
        return
    ours, *others = group.contenders
    all_of_them = [ours, *(able(one, taken[0].data) for one in others)]
    there = [one for one in all_of_them if not one.missing]
    quality = {one.name: [psnr(one, photograph.data, grey=group.grey) for photograph in taken] for one in there}
    mine = quality[ours.name]
    void = statistics.median(mine) < MEDIAN or tenth_percentile(mine) < TENTH
    of = f"{len(taken)} photographs, against a full decode and LANCZOS"
    yield line(section, "quality, median", [statistics.median(mine)], goal=MEDIAN, unit=" dB", note=of)
    yield line(section, "quality, tenth percentile", [tenth_percentile(mine)], goal=TENTH, unit=" dB")

    with one_core():
        costs = [interleave({one.name: one.task(photograph.data) for one in there}, rounds) for photograph in taken]
    for other in all_of_them[1:]:
        goal, at_most = group.goals.get(other.name), other.name == FLOOR
        name = f"{other.name} / imgflow"
        if other.missing:
            yield Line(section, name, goal=goal, note=other.missing)
            continue
        pair = (other.name, "imgflow") if at_most else ("imgflow", other.name)
        yield line(
            section,
            f"imgflow / {FLOOR}" if at_most else name,
            geometric_mean([times(cost, *pair) for cost in costs]),
            goal=group.floor if at_most else goal,
            at_most=at_most,
            note=other.note or f"{statistics.median(quality[other.name]):.1f} dB",
            void=void,
            seconds={one.name: geometric_mean([cost[one.name] for cost in costs]) for one in (there[0], other)},
        )


def psnr(contender: Contender, data: bytes, *, grey: bool) -> float:
    """Peak signal-to-noise ratio in dB, before encoding: 10 log10(255² / mean squared difference)."""
    pixels = contender.pixels(contender.shrink(data))
    pixels = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels  # noqa: PLR2004
    best = reference(data, (pixels.shape[1], pixels.shape[0]), grey=grey)
    squares = float(np.mean((pixels.astype(np.float64) - best) ** 2))
    return TOP if squares == 0 else min(TOP, 10 * math.log10(255**2 / squares))


def tenth_percentile(values: Sequence[float]) -> float:
    """The value that nine of ten exceed."""
    return float(np.percentile(values, 10))
