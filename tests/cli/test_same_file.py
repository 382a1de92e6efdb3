"""Which file is the same as before: by status, which nobody can set as he likes, or by content."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

QUICK = ("--steps", "scale:50%", "--workers", "1", "-o", "json")
SUBMIT = ("submit", "-m", "Demo", "--source", "in", *QUICK)


def scan(colour: str) -> None:
    """A file that a scanner writes anew: the same name, size and time of writing."""
    Path("in").mkdir(exist_ok=True)
    Image.new("RGB", (64, 64), colour).save("in/scan.bmp")
    os.utime("in/scan.bmp", (1_700_000_000, 1_700_000_000))


@pytest.fixture(autouse=True)
def other() -> None:
    scan("red")
    Image.new("RGB", (64, 64), "blue").save("in/other.bmp")


def computed(imgflow: Cli, *more: str) -> tuple[int, int]:
    """How many images were processed, and how many cached."""
    counts = imgflow(*SUBMIT, *more).json["counts"]
    return counts["processed"], counts["cached"]


def test_a_file_of_the_same_size_and_time_is_processed_again(imgflow: Cli) -> None:
    assert computed(imgflow) == (2, 0)
    assert computed(imgflow) == (0, 2)
    scan("green")
    assert computed(imgflow) == (1, 1)


def test_two_files_that_change_places_are_processed_again(imgflow: Cli) -> None:
    os.utime("in/other.bmp", (1_700_000_000, 1_700_000_000))
    assert computed(imgflow) == (2, 0)
    for old, new in (("scan", "x"), ("other", "scan"), ("x", "other")):
        Path(f"in/{old}.bmp").rename(f"in/{new}.bmp")
    assert computed(imgflow) == (2, 0)


def test_ingest_copies_a_file_of_the_same_size_and_time_again(imgflow: Cli) -> None:
    def ingest(*more: str) -> tuple[int, int]:
        done = imgflow("ingest", "in", "-m", "Demo", "-o", "json", *more).json
        return done["copied"], done["present"]

    assert ingest() == (2, 0)
    scan("green")
    assert ingest() == (1, 1)
    Path("in/scan.bmp").touch()
    Path("in/other.bmp").chmod(0o600)
    assert ingest() == (0, 2)  # neither the content of one nor that of the other is new
    assert ingest("--checksum") == (0, 2)


@pytest.mark.parametrize("form", ["zip", "tar", "gztar"])
def test_a_member_of_the_same_size_and_time_is_copied_again_from_an_archive_that_is_new(
    imgflow: Cli, form: str
) -> None:
    def ingest() -> tuple[int, int]:
        os.utime("in/other.bmp", (1_700_000_000, 1_700_000_000))
        packed = shutil.make_archive("packed", form, "in")
        done = imgflow("ingest", packed, "-m", "Demo", "-o", "json").json
        return done["copied"], done["present"]

    assert ingest() == (2, 0)
    scan("green")
    assert ingest() == (1, 1)
    assert Path(".imgflow/datasets/Demo/images/scan.bmp").read_bytes() == Path("in/scan.bmp").read_bytes()
    assert ingest() == (0, 2)


def test_content_decides_for_ingest_when_asked(imgflow: Cli) -> None:
    imgflow("ingest", "in", "-m", "Demo")
    copy = Path(".imgflow/datasets/Demo/images/scan.bmp")
    status = copy.stat()
    copy.write_bytes(bytes(status.st_size))  # a disk that lies, say
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))

    plain = imgflow("ingest", "in", "-m", "Demo", "-o", "json").json
    asked = imgflow("ingest", "in", "-m", "Demo", "-o", "json", "--checksum").json

    assert (plain["copied"], asked["copied"]) == (0, 1)
    assert copy.read_bytes() == Path("in/scan.bmp").read_bytes()


def test_a_restored_folder_is_known_by_its_content_when_asked(imgflow: Cli) -> None:
    assert computed(imgflow, "--checksum") == (2, 0)
    shutil.copytree("in", "backup")
    shutil.rmtree("in")
    shutil.copytree("backup", "in")
    assert computed(imgflow, "--checksum") == (0, 2)
    scan("green")
    assert computed(imgflow, "--checksum") == (1, 1)
    assert not imgflow("why", "scan.bmp", "-o", "json").json["now"]["replaced"]
    scan("blue")
    assert imgflow("why", "scan.bmp", "-o", "json").json["now"]["replaced"]


def test_a_folder_is_exported_once(imgflow: Cli) -> None:
    imgflow("ingest", "in", "-m", "Demo")

    first = imgflow("export", "out", "-m", "Demo", "-o", "json").json
    second = imgflow("export", "out", "-m", "Demo", "-o", "json").json

    assert (first["copied"], second["copied"], second["present"]) == (2, 0, 2)
