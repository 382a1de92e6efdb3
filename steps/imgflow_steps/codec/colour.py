"""Whatever a decoder gives becomes L, LA, RGB or RGBA: 8 bits, sRGB, alpha not premultiplied."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from imgflow_steps.codec import cicp, press
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.pixels.arrays import to_luma

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsProfile

Convert = Callable[[Image.Image], Image.Image]

PLAIN = {  # Pillow's modes and what they become; alpha that stands beside the pixels is added after
    "1": "L",
    "L": "L",
    "LA": "LA",
    "La": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
    "CMYK": "CMYK",
    "YCbCr": "RGB",
    "LAB": "RGB",
    "HSV": "RGB",
}
WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
WITHOUT_ALPHA = {"LA": "L", "RGBA": "RGB"}

PROFILE_BYTES = 4 << 20  # profiles of printing presses have two megabytes; more is not a profile
SRGB_GAMMA = 1 / 2.2
GAMMA_SAME = 0.05
SAME = 2  # steps of 255 that a profile may differ from sRGB and still be called that


def canonical(image: Image.Image, *, luma: bool) -> Image.Image:
    """A loaded image in L, LA, RGB or RGBA, in sRGB; with ``luma`` in L or LA.

    Raises Rejected("unsupported-mode") for samples without a defined white.
    """
    picture = _plain(image)
    profile = _profile(image, grey=picture.mode in {"L", "LA"})
    picture = _to_srgb(picture, profile) if profile or picture.mode == "CMYK" else _from_gamma(picture, image.info)
    beside = image.info.get("alpha")
    if isinstance(beside, Image.Image):  # of modes that Pillow does not have
        picture.putalpha(beside)
    return to_luma(picture) if luma else picture


def is_srgb(image: Image.Image) -> bool:
    """Whether an RGB image needs no conversion of its colours."""
    return _conversion(_profile(image, grey=False), "RGB") is None


def _plain(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _from_16_bits(image)
    if image.mode not in PLAIN:
        raise Rejected("unsupported-mode", f"samples of kind {image.mode}: nothing says which value is white")
    mode = PLAIN[image.mode]
    if image.has_transparency_data:
        mode = WITH_ALPHA.get(mode, mode)
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:  # noqa: PLR2004 - the colour has 16 bits where the pixels kept the high 8
        image.info["transparency"] = tuple(value >> 8 for value in key)
    return image if image.mode == mode else image.convert(mode)


def _from_16_bits(image: Image.Image) -> Image.Image:
    """L or LA by scaling 65535 to 255, rounded; Pillow's own conversion would clip at 255."""
    samples = np.asarray(image)
    picture = Image.fromarray(_high_byte()[samples])
    key = image.info.get("transparency")
    if isinstance(key, int):
        picture.putalpha(Image.fromarray(np.where(samples == key, 0, 255).astype(np.uint8)))
    return picture


@cache
def _high_byte() -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return ((np.arange(65536, dtype=np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def _profile(image: Image.Image, *, grey: bool) -> bytes:
    numbers = image.info.get("cicp")
    if isinstance(numbers, tuple):  # and not a text of that name
        return cicp.profile(*numbers, grey=grey)
    profile = image.info.get("icc_profile") or b""
    return profile if isinstance(profile, bytes) and len(profile) <= PROFILE_BYTES else b""


def _to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    opaque = WITHOUT_ALPHA.get(picture.mode, picture.mode)
    convert = _conversion(profile, opaque)
    if convert is None and opaque == "CMYK":
        convert = _conversion(press.profile(), opaque)
    if convert is None:
        return picture
    if opaque == picture.mode:
        return convert(picture)
    converted = convert(picture.convert(opaque))
    converted.putalpha(picture.getchannel("A"))
    return converted


def _from_gamma(picture: Image.Image, info: dict[Any, Any]) -> Image.Image:
    """What PNG says of its gamma alone, turned into that of sRGB; within 5 % of that it is the same, as in libpng."""
    gamma = info.get("gamma") or SRGB_GAMMA
    if "srgb" in info or abs(gamma / SRGB_GAMMA - 1) <= GAMMA_SAME or not 1 / 100 < gamma < 100:  # noqa: PLR2004 - nonsense
        return picture
    linear = (np.arange(256) / 255) ** (1 / gamma)
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)  # noqa: PLR2004 - IEC 61966-2-1
    table = [round(255 * float(value)) for value in shown]
    same = list(range(256))
    return picture.point([value for band in picture.getbands() for value in (same if band == "A" else table)])


@lru_cache(maxsize=16)
def _conversion(profile: bytes, mode: str) -> Convert | None:
    """From ``mode`` (L, RGB, CMYK) with this profile to sRGB; None when there is nothing to do, or no valid profile."""
    if not profile:
        return None
    from PIL import ImageCms  # noqa: PLC0415 - few pictures need it

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        # Greys become a table once, so they may be exact; shortcuts bend their darks by up to 10 steps.
        flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
        transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB", flags=flags)
    except (ImageCms.PyCMSError, OSError):
        return None

    if mode == "CMYK":
        return transform.apply
    if mode == "L":
        table = to_luma(transform.apply(_greys())).tobytes()
        return None if _same(table, _greys()) else lambda image: image.point(table)
    return None if _same(transform.apply(_colours()).tobytes(), _colours()) else transform.apply


def _same(converted: bytes, image: Image.Image) -> bool:
    before, after = (np.frombuffer(data, np.uint8).astype(np.int16) for data in (image.tobytes(), converted))
    return bool(np.abs(before - after).max() <= SAME)


@cache
def _srgb() -> ImageCmsProfile:
    from PIL import ImageCms  # noqa: PLC0415 - few pictures need it

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _greys() -> Image.Image:
    return Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])


def _colours() -> Image.Image:
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3))
