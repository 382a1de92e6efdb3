"""Small deterministic photographs for tests."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


def pixels(seed: int, width: int = 96, height: int = 64) -> Image.Image:
    """A smooth coloured picture with some noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 120 * np.sin(x * random.uniform(0.02, 0.2) + y * random.uniform(0.02, 0.2)) for _ in range(3)]
    noise = random.normal(0, 4, (height, width, 3))
    return Image.fromarray(np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8))


def jpeg(seed: int, width: int = 96, height: int = 64) -> bytes:
    """The same as a JPEG file."""
    out = BytesIO()
    pixels(seed, width, height).save(out, "JPEG", quality=90)
    return out.getvalue()


def png(seed: int, width: int = 96, height: int = 64) -> bytes:
    """The same as a PNG file."""
    out = BytesIO()
    pixels(seed, width, height).save(out, "PNG")
    return out.getvalue()


def folder(path: Path, count: int, **size: int) -> Path:
    """A nested folder of JPEG files."""
    for i in range(count):
        file = path / f"{'abc'[i % 3]}/{i:03d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg(i, **size))
    return path
