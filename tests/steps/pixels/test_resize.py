"""One resizer: the same bytes on every processor, and close to the filter it is named after."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from cykooz_resizer import CpuExtensions, Resizer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests import photographs

from imgflow_steps.contract.step import Target
from imgflow_steps.pixels import resize

PHOTOGRAPH = np.asarray(photographs.pixels(3, 301, 203))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(100, 70), (37, 200), (500, 400)], ids=str)
def test_the_instructions_a_processor_has_change_no_byte(
    channels: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.dstack([PHOTOGRAPH, PHOTOGRAPH[:, :, :1]])[:, :, :channels]
    best = resize.resize(pixels, *size)
    plain = Resizer()
    plain.cpu_extensions = CpuExtensions.none
    monkeypatch.setattr(resize, "_resizer", lambda: plain)

    np.testing.assert_array_equal(resize.resize(pixels, *size), best)


@pytest.mark.parametrize(
    ("by", "filter_"), [("lanczos3", Image.Resampling.LANCZOS), ("bilinear", Image.Resampling.BILINEAR)]
)
@pytest.mark.parametrize("part", [(0, 0, 301, 203), (10.25, 3.5, 250.5, 190.125)], ids=str)
def test_a_part_is_resized_as_pillow_would(
    by: resize.Filter, filter_: Image.Resampling, part: tuple[float, float, float, float]
) -> None:
    left, upper, width, height = part
    expected = Image.fromarray(PHOTOGRAPH).resize((100, 77), filter_, (left, upper, left + width, upper + height))
    difference = resize.resize(PHOTOGRAPH, 100, 77, part, by).astype(float) - np.asarray(expected)

    assert 10 * np.log10(255**2 / np.mean(difference**2)) > 50


@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    box=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    mode=st.sampled_from(["fit", "cover", "exact"]),
    enlarge=st.booleans(),
    cut=st.tuples(*[st.sampled_from([0, 0.125, 0.5, 0.875])] * 4),
)
@settings(deadline=None)
def test_what_lies_outside_the_extent_is_never_more_than_the_edge(
    height: int, width: int, box: tuple[int, int], mode: str, enlarge: bool, cut: tuple[float, ...]
) -> None:
    grey = np.full((height + 2, width + 2, 1), 90, np.uint8)
    extent = (cut[0], cut[1], width + 2 - cut[2], height + 2 - cut[3])

    after = resize.into(grey, Target(*box, mode), enlarge=enlarge, extent=extent)

    assert np.unique(after).tolist() == [90]
    assert after.shape[0] <= max(box[1], height + 2)
    assert after.shape[1] <= max(box[0], width + 2)


HUNGRY = """
import resource, sys
import numpy as np
from imgflow_steps.pixels import resize
resize.resize(np.zeros((9, 9, 3), np.uint8), 4, 4)
pixels = np.zeros((CHANNELS_ROWS), np.uint8)
used = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_DATA, (used + ROOM, used + ROOM))
try:
    print(resize.resize(pixels, 100, 4000).shape[0])
except MemoryError:
    print("MemoryError")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no limit covers memory that is mapped")
@pytest.mark.parametrize("room", [45, 85, 130], ids=str)
@pytest.mark.parametrize("channels", [3, 4])
def test_memory_that_runs_out_never_ends_the_process(channels: int, room: int) -> None:
    script = HUNGRY.replace("CHANNELS_ROWS", f"10_000, 1_000, {channels}").replace("ROOM", str(room << 20))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-300:]
    assert done.stdout.split() in ([["4000"]] if room > 100 else [["4000"], ["MemoryError"]])
