"""Every layout of a TIFF shows the picture that tifffile reads from it: bits, colours, planes, compressions, tiles."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests import tiffs

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected

Array = np.ndarray[Any, Any]

HEIGHT, WIDTH = 19, 37  # in strips of 7 rows and tiles of 16: the last ones are not full, nor a row a whole byte
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK = 0, 1, 2, 3, 5
COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4}
NAMES = {WHITE_IS_ZERO: "white is zero", BLACK_IS_ZERO: "black is zero", RGB: "RGB", PALETTE: "palette", CMYK: "CMYK"}
UNSAID, PREMULTIPLIED, STRAIGHT = 0, 1, 2
DEPTHS = (1, 2, 4, 8, 10, 12, 14, 16)


@dataclass(frozen=True)
class Case:
    photometric: int
    bits: int
    extra: tuple[int, ...]
    compression: str
    predictor: bool
    planar: bool
    tiled: bool
    order: str
    big: bool

    def __str__(self) -> str:
        said = {key: value for key, value in asdict(self).items() if value and key not in {"photometric", "bits"}}
        more = " ".join(key if value is True else str(value) for key, value in said.items())
        return f"{NAMES[self.photometric]} {self.bits} {more}"


def is_meant(case: Case) -> bool:
    """Whether a file may be written so; where an axis makes no difference one of its values will do."""
    return (
        (case.photometric != PALETTE or case.bits <= 8)
        and (case.photometric != CMYK or (case.bits in (8, 16) and PREMULTIPLIED not in case.extra))
        and (not case.predictor or (case.compression in {"lzw", "deflate", "zstd"} and case.bits in (8, 16)))
        and (not case.planar or COLOURS[case.photometric] + len(case.extra) > 1)
        and (len(case.extra) < 2 or COLOURS[case.photometric] > 1)
        and (PREMULTIPLIED not in case.extra or (case.photometric not in {PALETTE, CMYK} and case.bits >= 8))
    )


CASES = [
    case
    for case in (
        Case(*values)
        for values in product(
            COLOURS,
            DEPTHS,
            [(), (UNSAID,), (PREMULTIPLIED,), (STRAIGHT,), (UNSAID, STRAIGHT)],
            tiffs.COMPRESSIONS,
            (False, True),
            (False, True),
            (False, True),
            "<>",
            (False, True),
        )
    )
    if is_meant(case)
]
ALWAYS = frozenset(CASES[::101])  # a prime: so every value of every axis meets most of the others


def test_those_that_are_always_tried_have_every_value_of_every_axis() -> None:
    for name in Case.__dataclass_fields__:
        assert {getattr(case, name) for case in ALWAYS} == {getattr(case, name) for case in CASES}


def samples_of(case: Case) -> Array:
    """Ramps and noise, with alpha that leaves a premultiplied colour enough of its bits."""
    white = (1 << case.bits) - 1
    random = np.random.default_rng(case.bits)
    count = COLOURS[case.photometric] + len(case.extra)
    samples = random.integers(0, white + 1, (HEIGHT, WIDTH, count), dtype=np.int64)
    samples[:, :, 0] = np.linspace(0, white, WIDTH).round()
    if PREMULTIPLIED in case.extra:
        alpha = random.integers(white * 3 // 4, white + 1, (HEIGHT, WIDTH))
        samples = samples * alpha[:, :, np.newaxis] // white
        samples[:, :, -1] = alpha
    return samples


def palette_of(bits: int) -> list[int]:
    return np.random.default_rng(bits).integers(0, 65536, 3 << bits).tolist()


def written(case: Case) -> bytes:
    return tiffs.tiff(
        samples_of(case), case.bits, case.photometric, order=case.order, big=case.big, planar=case.planar,
        compression=case.compression, tile=(16, 16) if case.tiled else None, extra=case.extra,
        predictor=case.predictor, more={320: palette_of(case.bits)} if case.photometric == PALETTE else None,
    )  # fmt: skip


def by_tifffile(data: bytes, case: Case) -> Array:
    """The samples as tifffile has them, (h, w, n)."""
    with tifffile.TiffFile(BytesIO(data)) as file:
        samples = np.asarray(file.pages[0].asarray())
    if samples.ndim == 3 and case.planar:
        samples = np.moveaxis(samples, 0, -1)
    return samples.reshape(HEIGHT, WIDTH, -1).astype(np.int64)


def shown(samples: Array, case: Case) -> Array:
    """What TIFF 6.0 says is seen of such samples: (h, w, channels) from 0 to 255."""
    white = (1 << case.bits) - 1
    levels = samples * 255 / white
    colours = COLOURS[case.photometric]
    seen = 255 - levels[:, :, :1] if case.photometric == WHITE_IS_ZERO else levels[:, :, :colours]
    if case.photometric == PALETTE:
        seen = np.array(palette_of(case.bits)).reshape(3, -1).T[samples[:, :, 0]] * 255 / 65535
    if case.photometric == CMYK:
        seen = by_pillow(Image.frombytes("CMYK", (WIDTH, HEIGHT), seen.round().astype(np.uint8).tobytes()))
    at = next((i for i, what in enumerate(case.extra) if what in (PREMULTIPLIED, STRAIGHT)), None)
    if at is None:
        return seen
    alpha = levels[:, :, colours + at :][:, :, :1]
    if case.extra[at] == PREMULTIPLIED:
        seen = np.clip(seen * 255 / alpha, 0, 255)
    return np.concatenate([seen, alpha], axis=2)


def by_pillow(inks: Image.Image) -> Array:
    out = BytesIO()
    inks.save(out, "TIFF")
    return decoded(out.getvalue())


def decoded(data: bytes) -> Array:
    return codec.decode(data, DecodePlan(), Limits()).pixels.astype(np.int64)


def fault_of(case: Case) -> str:
    """What is wrong with what is seen of a case; empty where nothing is."""
    data = written(case)
    samples = by_tifffile(data, case)
    np.testing.assert_array_equal(samples, samples_of(case))
    try:
        pixels = decoded(data)
    except Rejected as verdict:
        return f"{case}: {verdict.code}: {verdict}"
    expected = shown(samples, case)
    if pixels.shape != expected.shape:
        return f"{case}: {pixels.shape} where it should be {expected.shape}"
    inks = case.photometric == CMYK  # a step of ink may be several steps of colour
    rounding = 5 if inks else 3 if PREMULTIPLIED in case.extra else 1
    worst = np.abs(pixels - expected).max()
    return f"{case}: up to {worst} of 255 away" if worst > rounding else ""


@pytest.mark.parametrize("photometric", NAMES, ids=NAMES.values())
def test_a_layout_shows_what_tifffile_reads(photometric: int) -> None:
    assert [fault for case in ALWAYS if case.photometric == photometric and (fault := fault_of(case))] == []


@pytest.mark.thorough
@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize("photometric", NAMES, ids=NAMES.values())
def test_every_layout_shows_what_tifffile_reads(photometric: int, bits: int) -> None:
    cases = [case for case in CASES if (case.photometric, case.bits) == (photometric, bits)]
    assert [fault for case in cases if (fault := fault_of(case))] == []
