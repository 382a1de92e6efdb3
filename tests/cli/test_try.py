"""try: one photograph, before and after, at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests import photographs
from tests.finders import constant

from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import boxes, keys
from imgflow_steps.records.boxes import ManualBox, Marked
from imgflow_steps.records.findings import Box
from imgflow_steps.store import Store
from imgflow_workflows.preview import SHOWN, attempt, sheet
from imgflow_workflows.results.outlines import MARK, outlined

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.fixture
def finder(tmp_path: Path) -> Path:
    """A model that finds one face of 64 x 64 pixels in every picture."""
    return constant(tmp_path, ("face", 0.9, 40, 96, 64, 64))


def test_boxes_are_outlined_on_a_copy_where_steps_have_moved_them_and_what_is_covered_stays_covered(
    finder: Path,
) -> None:
    data = photographs.jpeg(1, 320, 256)
    pipeline = parse({"steps": [{"infer": {"model": str(finder)}}, {"redact": {}}, {"scale": {"percent": 50}}]})
    trial = attempt(data, pipeline, "a.jpg")
    plain = [pixels.copy() for pixels in trial.after]

    marked = outlined(trial.after[0], trial.boxes[0])

    assert [tuple(box[2:]) for box in trial.boxes[0]] == [pytest.approx((20, 48, 32, 32))]
    np.testing.assert_array_equal(trial.after[0], plain[0])  # a copy was drawn on
    np.testing.assert_array_equal(marked[50:79, 22:51], plain[0][50:79, 22:51])  # inside it: what covers it
    assert {tuple(marked[64, x]) for x in (20, 52)} == {MARK}
    assert {tuple(marked[y, 36]) for y in (48, 80)} == {MARK}
    assert (sheet(trial, "", "", boxes=True).crop((0, 0, 680, 560)).tobytes()
            == sheet(trial, "", "").crop((0, 0, 680, 560)).tobytes())  # before shows no box  # fmt: skip
    assert sheet(trial, "", "", boxes=True).tobytes() != sheet(trial, "", "").tobytes()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_outlines_have_their_colour_on_grey_pictures_and_leave_alpha_as_it_is(channels: int) -> None:
    pixels = np.full((64, 64, channels), 100, np.uint8)

    marked = outlined(pixels, [Box("face", 0.5, 8, 40, 16, 16)])

    assert tuple(marked[48, 8][:3]) == MARK
    assert tuple(marked[0, 63]) == ((100,) * 4 if channels in {2, 4} else (100,) * 3)


def test_try_outlines_boxes_only_where_it_is_asked_to(imgflow: Cli, finder: Path) -> None:
    Path("find.yaml").write_text(f"- infer: {{model: {finder}}}\n", encoding="utf-8")
    Path("a.png").write_bytes(photographs.jpeg(1, 640, 512))  # as large as the sheet shows it
    sheets = []
    for flags in ((), ("--boxes",)):
        done = imgflow("try", "@find.yaml", "a.png", "-o", "sheet.png", *flags)
        assert done.code == 0, done.err
        with Image.open("sheet.png") as page:
            sheets.append({colour for _, colour in page.convert("RGB").getcolors(1 << 24) or []})
    assert [MARK in colours for colours in sheets] == [False, True]


@pytest.fixture(autouse=True)
def photo() -> Path:
    path = Path("photo.jpg")
    path.write_bytes(photographs.jpeg(1, 800, 600))
    return path


def test_before_and_after_stand_beside_each_other_in_a_picture_beside_the_photograph(imgflow: Cli, photo: Path) -> None:
    before = photo.read_bytes()

    done = imgflow("try", "scale:320x240,grayscale", "photo.jpg")

    assert done.code == 0
    assert done.out.splitlines()[-1] == "photo.jpg.try.jpg"
    assert {path.name for path in Path().iterdir()} == {"photo.jpg", "photo.jpg.try.jpg"}
    assert photo.read_bytes() == before
    with Image.open("photo.jpg.try.jpg") as page:
        left, right = (np.asarray(page.crop((x, 30, x + 600, 480)), int) for x in (30, 694))
    assert np.ptp(left, axis=2).max() > 40
    assert np.ptp(right, axis=2).max() < 20
    luma = left @ [0.299, 0.587, 0.114]
    assert abs(luma - right[..., 0]).mean() < 8  # the same picture, of the same size


def test_each_step_says_what_it_made_and_what_it_took(imgflow: Cli) -> None:
    lines = imgflow("try", "scale:320x240,split:2x2,grayscale", "photo.jpg").out.splitlines()

    assert lines[0].split() == ["STEP", "PICTURES", "SIZE", "CHANNELS", "MS"]
    assert [line.split()[:4] for line in lines[1:6]] == [
        ["decode", "1", "800x600", "grey"],
        ["scale", "1", "320x240", "grey"],
        ["split", "4", "160x120", "grey"],
        ["grayscale", "4", "160x120", "grey"],
        ["encode", "4", "160x120", "grey"],
    ]


def test_what_a_model_found_is_said(imgflow: Cli) -> None:
    assert "sharpness" in imgflow("try", "infer", "photo.jpg").out


def test_the_picture_goes_where_it_is_told_in_the_format_of_its_suffix(imgflow: Cli) -> None:
    assert imgflow("try", "rotate:90", "photo.jpg", "-o", "out.png").out.splitlines()[-1] == "out.png"
    with Image.open("out.png") as page:
        assert page.format == "PNG"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("scal:3", "photo.jpg"), 2, "did you mean 'scale'"),
        (("scale", "absent.jpg"), 2, "absent.jpg cannot be read"),
        (("scale", "."), 2, "cannot be read"),
        (("scale", "letter.jpg"), 1, "letter.jpg would be rejected: unsupported-format"),
        (("scale", "photo.jpg", "-o", "out.gif"), 2, "out.gif is not the name of a picture"),
        (("scale", "photo.jpg", "-o", "./photo.jpg"), 2, "would be written over"),
        (("scale", "photo.jpg", "-o", "nowhere/out.png"), 2, "cannot be written"),
    ],
)
def test_what_cannot_be_tried_is_told_by_its_name(
    imgflow: Cli, arguments: tuple[str, ...], code: int, said: str
) -> None:
    Path("letter.jpg").write_bytes(b"Dear Sir or Madam")

    done = imgflow("try", *arguments)

    assert done.code == code
    assert said in done.err
    assert done.out == ""


def test_many_pictures_are_shown_in_a_grid_and_none_is_fine() -> None:
    pipeline = parse({"steps": [{"split": {"tile": 8}}, "grayscale"]})
    trial = attempt(photographs.jpeg(1, 80, 64), pipeline, "photo.jpg")

    assert len(trial.after) == 80 > SHOWN
    assert sheet(trial, "before", "after").width > 1000


def test_only_what_is_needed_is_loaded_so_that_it_answers_in_less_than_a_second() -> None:
    heavy = ["minio", "urllib3", "hera", "kubernetes", "onnxruntime", "rich", "duckdb", "pyarrow"]
    script = (
        "import sys; from imgflow_cli.__main__ import main; main(['try', 'scale:320x240,blur:gaussian', 'photo.jpg']); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["try", "lint", "plan"])
@pytest.mark.parametrize("where", [".", "pipelines"])
def test_files_that_a_pipeline_file_names_are_found_here_and_beside_it(imgflow: Cli, command: str, where: str) -> None:
    for folder in ("pipelines", "photos"):
        Path(folder).mkdir()
    constant(Path(where), ("face", 0.9, 40, 40, 64, 64))
    Path("pipelines/cover.yaml").write_text("- infer: {model: model.onnx}\n- redact\n", encoding="utf-8")
    Path("photos/a.jpg").write_bytes(photographs.jpeg(1, 320, 256))

    arguments = {
        "try": ("@pipelines/cover.yaml", "photos/a.jpg"),
        "lint": ("pipelines/cover.yaml",),
        "plan": ("-m", "A", "--source", "photos", "--pipeline", "pipelines/cover.yaml"),
    }
    done = imgflow(command, *arguments[command])

    assert done.code == 0, done.err + done.out
    if command == "try":
        assert "objects.labels.face" in done.out
        assert "redacted.count" in done.out


@pytest.fixture
def delft(store: Store, tmp_path: Path) -> Store:
    """A municipality in whose photographs people have marked something; of one they said nothing."""
    for name in ("a.png", "b.png", "empty.png"):
        store.write(keys.images("Delft") + f"market/{name}", photographs.jpeg(1, 320, 256))
    given = (ManualBox("sign", 200, 16, 264, 80),)
    table = [Marked(image="market/a.png", boxes=given), Marked(image="market/empty.png")]
    boxes.write(store, "Delft", table, tmp_path)
    return store


def covered(page: str) -> tuple[bool, bool]:
    """Whether the sheet's picture of after is black where the model found a face, and where a person marked a sign."""
    with Image.open(page) as sheet:
        after = np.asarray(sheet.convert("L"))[24:, 24 + 640 + 24 :]  # twice as large as the photograph
    return bool(after[256, 144] < 16), bool(after[96, 464] < 16)


@pytest.mark.parametrize(
    ("image", "both", "note"),
    [
        ("market/a.png", (True, True), ""),
        ("market/b.png", (True, False), "say nothing of this image"),
        ("market/empty.png", (True, False), ""),
    ],
)
def test_try_covers_the_boxes_of_an_image_of_a_municipality_as_a_run_does(
    imgflow: Cli, finder: Path, delft: Store, image: str, both: tuple[bool, bool], note: str
) -> None:
    Path("cover.yaml").write_text(f"- infer: {{model: {finder}}}\n- redact: {{colour: black}}\n", encoding="utf-8")

    done = imgflow("try", "@cover.yaml", image, "--municipality", "Delft", "-o", "sheet.png", "--store", delft.url)

    assert done.code == 0, done.err
    assert covered("sheet.png") == both
    assert ("note:" in done.err) == bool(note)
    assert note in done.err


def test_try_of_a_file_covers_what_a_model_finds_and_says_that_a_file_has_no_boxes_by_people(
    imgflow: Cli, finder: Path, delft: Store
) -> None:
    Path("cover.yaml").write_text(f"- infer: {{model: {finder}}}\n- redact: {{colour: black}}\n", encoding="utf-8")
    Path("a.png").write_bytes(photographs.jpeg(1, 320, 256))

    done = imgflow("try", "@cover.yaml", "a.png", "-o", "sheet.png", "--store", delft.url)

    assert done.code == 0, done.err
    assert covered("sheet.png") == (True, False)
    assert "name its --municipality" in done.err
    assert "note:" not in imgflow("try", "grayscale", "a.png", "-o", "sheet.png").err


def test_try_covers_what_people_marked_where_there_is_no_model_and_rejects_what_they_have_not_seen(
    imgflow: Cli, delft: Store
) -> None:
    Path("cover.yaml").write_text("- redact: {colour: black}\n", encoding="utf-8")
    words = ("--municipality", "Delft", "-o", "sheet.png", "--store", delft.url)

    assert imgflow("try", "@cover.yaml", "market/a.png", *words).code == 0
    assert covered("sheet.png") == (False, True)
    rejected = imgflow("try", "@cover.yaml", "market/b.png", *words)
    assert rejected.code == 1
    assert "no-finder" in rejected.err


@pytest.mark.parametrize("image", ["market/c.png", "../boxes.jsonl", "/market/a.png"])
def test_try_names_an_image_or_a_municipality_that_is_not_there(imgflow: Cli, delft: Store, image: str) -> None:
    done = imgflow("try", "grayscale", image, "--municipality", "Delft", "--store", delft.url)
    assert (done.code, image in done.err) == (2, True)
    done = imgflow("try", "grayscale", "market/a.png", "-m", "Delf", "--store", delft.url)
    assert (done.code, "Delft" in done.err) == (2, True)
