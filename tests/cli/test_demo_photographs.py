"""The demo municipality: real photographs in every kind that comes in, and two that are no good."""

from __future__ import annotations

import dataclasses
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from skimage import data

from imgflow_cli.demo import HELD, LICENCES, NOTE, SHOTS, cmyk_jpeg, jpeg, photographs

SMALL = [dataclasses.replace(shot, megapixels=0.05) for shot in SHOTS]


def content(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    return float(np.abs(np.asarray(one.convert("RGB"), float) - np.asarray(other.convert("RGB"), float)).mean())


@pytest.fixture
def astronaut() -> Image.Image:
    return Image.fromarray(data.astronaut()).crop((0, 0, 400, 300))


def test_there_are_some_thirty_of_camera_size() -> None:
    assert 24 <= len({shot.path for shot in SHOTS}) == len(SHOTS) <= 40
    assert all(8 <= shot.megapixels <= 24 for shot in SHOTS)


def test_every_source_has_a_licence_and_comes_inside_scikit_images_wheel() -> None:
    assert {shot.source for shot in SHOTS} == set(LICENCES)
    assert all((Path(data.__file__).parent / source).is_file() for source in LICENCES)


def test_names_have_spaces_and_umlauts_and_lie_in_nested_folders() -> None:
    folders = {Path(shot.path).parent.as_posix() for shot in SHOTS}
    assert any(" " in folder and "ü" in folder and "/" in folder for folder in folders)


def test_every_kind_of_photograph_is_among_them(tmp_path: Path) -> None:
    photographs(tmp_path, shots=SMALL)
    formats, modes, orientations, no_good = set(), set(), set(), []
    for shot in SMALL:
        try:
            with Image.open(tmp_path / shot.path) as image:
                image.load()
        except (UnidentifiedImageError, OSError):
            no_good.append(shot.path)
            continue
        formats.add(image.format)
        modes.add(image.mode)
        orientations.add(image.getexif().get(ExifTags.Base.Orientation, 1))
    assert formats == {"JPEG", "PNG", "TIFF", "WEBP"}
    assert modes == {"L", "P", "RGB", "RGBA", "CMYK", "I;16"}
    assert orientations == {1, 2, 3, 6, 8}
    assert no_good == ["Klinik/upload that broke off.jpg", "Klinik/not a photograph.jpg"]


def test_no_two_are_alike(tmp_path: Path) -> None:
    photographs(tmp_path, shots=SMALL)
    files = content(tmp_path)
    assert len(set(files.values())) == len(files) == len(SMALL) + 1


def test_one_of_twelve_megapixels_weighs_what_a_cameras_does(tmp_path: Path) -> None:
    shot = next(shot for shot in SHOTS if shot.path == "Hafen/cup.jpg")
    photographs(tmp_path, shots=[shot])
    with Image.open(tmp_path / shot.path) as image:
        assert image.width * image.height == pytest.approx(12e6, rel=0.01)
    assert 1_500_000 < (tmp_path / shot.path).stat().st_size < 6_000_000


@pytest.mark.parametrize("orientation", HELD)
def test_a_turned_photograph_is_upright_by_its_exif(astronaut: Image.Image, orientation: int) -> None:
    turned = Image.open(BytesIO(jpeg(astronaut, orientation=orientation)))
    assert turned.size == (astronaut.size if orientation < 5 else astronaut.size[::-1])
    assert difference(ImageOps.exif_transpose(turned), astronaut) < 4


def test_a_cameras_photograph_says_where_it_was_taken(astronaut: Image.Image) -> None:
    exif = Image.open(BytesIO(jpeg(astronaut))).getexif()
    assert exif[ExifTags.Base.Model] == "Camera 1"
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (52, 5, pytest.approx(26.9))


def test_cmyk_comes_with_and_without_adobes_marker(astronaut: Image.Image) -> None:
    marked, bare = (Image.open(BytesIO(cmyk_jpeg(astronaut, marked=marked))) for marked in (True, False))
    assert ("adobe" in marked.info, "adobe" in bare.info) == (True, False)
    assert (np.asarray(marked) == np.asarray(bare)).all()
    assert difference(marked, astronaut) < 4


def test_they_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    photographs(tmp_path / "one", shots=SMALL)
    photographs(tmp_path / "two", shots=SMALL)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_second_call_writes_only_what_is_missing(tmp_path: Path) -> None:
    photographs(tmp_path, shots=SMALL)
    (tmp_path / SMALL[0].path).unlink()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    told: list[str] = []
    photographs(tmp_path, told.append, SMALL)
    assert [line.split("  ")[0] for line in told] == [SMALL[0].path]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_those_of_another_version_are_written_anew(tmp_path: Path) -> None:
    photographs(tmp_path, shots=SMALL)
    written = content(tmp_path)
    (tmp_path / NOTE).write_text("an older version")
    (tmp_path / SMALL[0].path).write_bytes(b"old")
    photographs(tmp_path, shots=SMALL)
    assert content(tmp_path) == written


def test_without_scikit_image_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(ImportError, match=r"pip install 'imgflow\[demo\]'"):
        photographs(tmp_path)
    assert not list(tmp_path.iterdir())
