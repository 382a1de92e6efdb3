"""The same parameters give the same bytes, release after release, or a version was raised.

``IMGFLOW_GOLDEN=rewrite`` writes golden/pictures.json anew. Pixels are compared always; encoded bytes only
where the codecs are the ones that wrote them, because codecs may pack the same pixels in other ways.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import features

from imgflow_steps import codec
from imgflow_steps.contract.options import PICTURE_VERSION, Encoding, Limits
from imgflow_steps.contract.sample import Sample
from imgflow_steps.pipeline.decode_plan import decode_plan
from imgflow_steps.pipeline.model import parse
from imgflow_steps.pipeline.registry import PIXEL_STEPS
from imgflow_steps.redact import STEP, Redact

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

FILE = Path(__file__).with_name("golden") / "pictures.json"
CODECS = ("libjpeg_turbo", "webp")
STEPS: dict[str, list[Any]] = {
    "scale fit": [{"scale": {"width": 40, "height": 40}}],
    "scale cover": [{"scale": {"width": 30, "height": 30, "mode": "cover"}}],
    "scale exact": [{"scale": {"width": 17, "height": 50, "mode": "exact"}}],
    "scale enlarged": [{"scale": {"width": 200, "height": 200, "enlarge": True}}],
    "grayscale": ["grayscale"],
    "scale grayscale": [{"scale": {"width": 33, "height": 44}}, "grayscale"],
    "scale percent": ["scale:50%"],
    "crop": ["crop:16:9"],
    "crop box": ["crop:50x30+7+9"],
    "rotate": ["rotate:-90"],
    "rotate any": ["rotate:10"],
    "rotate inside": [{"rotate": {"degrees": 90, "expand": False, "fill": "gray"}}],
    "split": ["split:3x2"],
    "split tiles": ["split:40px"],
    "blur gaussian": ["blur:gaussian:3"],
    "blur updownsampling": ["blur:updownsampling"],
    "blur bilateral": ["blur:bilateral"],
    "blur median": ["blur:median"],
    "normalize minmax": ["normalize:minmax"],
    "normalize percentile": ["normalize:percentile"],
    "normalize zscore": ["normalize:zscore"],
    "normalize equalize": [{"normalize": {"method": "equalize", "channels": "each"}}],
    "augment": [{"augment": {"degrees": 30, "flip": "both"}}],
    "split blur augment": ["split", "blur", "augment:2:5"],
}
PLANNED = [name for name in STEPS if name.startswith(("scale ", "grayscale"))]  # that ask less of the decoder
LOSSY = [Encoding(format="jpeg"), Encoding(format="webp")]
LOSSLESS = Encoding(format="png")  # its bytes may differ from one processor to another, its pixels never


def drawn(channels: int) -> Pixels:
    """96 x 64 pixels of a pattern in whole numbers, the same on every machine."""
    y, x, c = np.mgrid[0:64, 0:96, 0:channels]
    return ((x * (3 + c) + y * (5 - c) + (x * y >> 4) * 7 + c * 40) % 256).astype(np.uint8)


def _bytes(sample: Sample) -> bytes:
    return sample.piece.encode() + sample.pixels.tobytes()


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]


def made(name: str, channels: int) -> list[Sample]:
    samples = [Sample(drawn(channels), image="drawn.png")]
    for call in parse({"steps": STEPS[name]}).steps:
        apply = call.step.build(call.params)
        samples = [piece for sample in samples for piece in apply(sample)]
    return samples


def decoded(name: str, kind: Encoding, channels: int) -> bytes:
    plan = decode_plan(parse({"steps": STEPS[name]}))
    return codec.decode(codec.encode(drawn(channels), kind), plan, Limits()).pixels.tobytes()


def hidden(params: Redact, channels: int) -> Sample:
    boxes = [["face", 0.9, 10.3, 5.5, 22.2, 31.0], ["plate", 0.7, 60.0, 40.1, 40.0, 9.9]]
    [sample] = STEP.build(params)(Sample(drawn(channels), found={"objects": {"count": 2, "boxes": boxes}}))
    return sample


def today() -> dict[str, Any]:
    stepped = {f"{name}, {n} channels": made(name, n) for name in STEPS for n in (1, 2, 3, 4)}
    first = {name: samples[-1].pixels for name, samples in stepped.items() if name.partition(",")[0] in PLANNED}
    return {
        "codecs": {name: features.version(name) for name in CODECS},
        "versions": {"picture": PICTURE_VERSION, **{n: s.version for n, s in PIXEL_STEPS.items() if n != "infer"}},
        "hidden": {
            f"{by} {shape}, {n} channels": digest(hidden(Redact(by=by, shape=shape), n).pixels.tobytes())
            for by in ("fill", "mosaic", "blur")
            for shape in ("box", "ellipse")
            for n in (1, 2, 3, 4)
        },
        "pixels": {name: digest(b"".join(_bytes(one) for one in samples)) for name, samples in stepped.items()},
        "encoded": {f"{n}, {o.format}": digest(codec.encode(p, o)) for n, p in first.items() for o in LOSSY},
        "decoded": {f"{n}, {o.format}": digest(decoded(n, o, 3)) for n in PLANNED for o in (*LOSSY, LOSSLESS)},
    }


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    found = today()
    if os.environ.get("IMGFLOW_GOLDEN") == "rewrite":
        FILE.write_text(json.dumps(found, indent=1) + "\n")
    return found


@pytest.fixture(scope="module")
def golden(found: dict[str, Any]) -> dict[str, Any]:
    golden: dict[str, Any] = json.loads(FILE.read_text())
    return golden


ADVICE = "bytes of results changed: raise the step's version (or PICTURE_VERSION), then run with IMGFLOW_GOLDEN=rewrite"


def test_versions_are_those_the_golden_file_was_written_for(found: dict[str, Any], golden: dict[str, Any]) -> None:
    assert found["versions"] == golden["versions"], "a version was raised: run with IMGFLOW_GOLDEN=rewrite"


def test_steps_give_the_same_pixels_as_ever(found: dict[str, Any], golden: dict[str, Any]) -> None:
    assert found["pixels"] == golden["pixels"], ADVICE


def test_what_is_covered_is_covered_by_the_same_pixels_as_ever(found: dict[str, Any], golden: dict[str, Any]) -> None:
    assert found["hidden"] == golden["hidden"], ADVICE


@pytest.mark.parametrize("direction", ["encoded", "decoded"])
def test_the_door_gives_the_same_bytes_as_ever(found: dict[str, Any], golden: dict[str, Any], direction: str) -> None:
    if found["codecs"] != golden["codecs"]:
        pytest.skip(f"other codecs than the golden file's: {found['codecs']} here, {golden['codecs']} there")
    assert found[direction] == golden[direction], ADVICE
