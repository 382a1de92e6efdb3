"""The bench in its smallest form. Nothing here says how long anything took."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import bench.photographs
import pytest
from PIL import Image
from tests import photographs

from bench import __main__, measure, results

QUICK = ("single", "infer", "choice")  # sections that start no processes
SIDES = (3264, 2448)  # the smallest photograph that counts as a camera's
ON_ONE_IMAGE = {"naive Pillow", "Pillow thumbnail", "pyvips thumbnail", "OpenCV reduced decode", "ImageMagick"}
ON_FOLDERS = {"naive Pillow, process pool", "GNU parallel + vipsthumbnail", "img2dataset"}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return photographs.folder(tmp_path / "images", 1, width=640, height=480)


def check(out: Path, printed: str, contenders: set[str]) -> None:
    lines, about = results.read(out)
    assert [one["name"] for one in about["photographs"]] == ["000.jpg", "large.jpg"]
    assert [line.name for line in lines if line.ratio is None and "not measured" not in line.note] == []
    assert any(line.name == "quality, median" and line.reached for line in lines)
    assert {line.name.removesuffix(" / imgflow") for line in lines} >= contenders
    assert printed.count("| What is compared |") == len({line.section for line in lines})
    assert ET.parse(out / "chart.svg").getroot().tag.endswith("svg")


def test_the_bench_tells_of_everybody_on_one_image(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    width, height = (side // 3 for side in SIDES)
    photographs.pixels(1, width // 2, height // 2).resize((width, height)).save(images / "large.jpg")
    monkeypatch.setattr(bench.photographs, "LARGE", width * height)
    monkeypatch.setattr(bench.photographs, "SMALL", width * height - 1)
    for name, value in measure.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    __main__.main(list(QUICK), 1, quick=True, images=images, scratch=tmp_path / "scratch", out=tmp_path / "out")

    check(tmp_path / "out", capsys.readouterr().out, ON_ONE_IMAGE)


@pytest.mark.thorough
def test_the_whole_bench_runs_and_leaves_nobody_out(images: Path, tmp_path: Path) -> None:
    Image.effect_noise(SIDES, 8).save(images / "large.jpg")
    scratch, out, root = tmp_path / "scratch", tmp_path / "out", results.README.parents[1]
    command = [sys.executable, "-m", "bench", "--quick", "--scratch", str(scratch), "--out", str(out)]
    environment = {**os.environ, "BENCH_IMAGES": str(images)}

    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    check(out, done.stdout, ON_ONE_IMAGE | ON_FOLDERS)
