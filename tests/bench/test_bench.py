"""The bench in its smallest form. Nothing here says how long anything took."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image
from tests import photographs

from bench import results


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = photographs.folder(tmp_path / "images", 1, width=640, height=480)
    Image.effect_noise((3264, 2448), 8).save(folder / "large.jpg")
    return folder


def test_the_bench_runs_and_leaves_nobody_out(images: Path, tmp_path: Path) -> None:
    scratch, out, root = tmp_path / "scratch", tmp_path / "out", results.README.parent
    command = [sys.executable, "-m", "bench", "--quick", "--scratch", str(scratch), "--out", str(out)]
    environment = {**os.environ, "BENCH_IMAGES": str(images)}

    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    lines, about = results.read(out)
    assert [one["name"] for one in about["photographs"]] == ["000.jpg", "large.jpg"]
    assert [line.name for line in lines if line.ratio is None and "not measured" not in line.note] == []
    assert any(line.name == "quality, median" and line.reached for line in lines)
    names = {line.name.removesuffix(" / imgflow") for line in lines}
    assert names >= {"naive Pillow", "Pillow thumbnail", "pyvips thumbnail", "OpenCV reduced decode", "ImageMagick"}
    assert names >= {"naive Pillow, process pool", "GNU parallel + vipsthumbnail", "img2dataset"}
    assert done.stdout.count("| What is compared |") == len({line.section for line in lines})
    assert ET.parse(out / "chart.svg").getroot().tag.endswith("svg")
