"""why: one image's story in words and as a document."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs

from imgflow_steps.records import keys
from imgflow_steps.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.fixture
def two_runs(imgflow: Cli, demo: Store) -> Store:
    """The municipality Demo after two runs of the same pipeline."""
    for run in ("one", "two"):
        imgflow("submit", "-m", "Demo", "--workers", "1", "--run", run, "--set", "scale.width=64", "-q")
    return demo


def test_a_processed_image_s_story_is_told_newest_run_first(imgflow: Cli, two_runs: Store) -> None:
    told = imgflow("why", "1.jpg")

    head, two, one = told.out.split("\n\n")
    assert [line.split()[0] for line in head.splitlines()] == ["Image", "Municipality", "Now"]
    assert two.splitlines()[0].endswith("cached")
    assert "cache hit: run one computed it" in two
    assert len(two.splitlines()) == 2
    for part in ("no run had listed it before", "Digest", "decode", "sha256", "after: ", ".jpg.jpg", "00000 of 2"):
        assert part in one, part
    assert told.err == "next: imgflow report two --open\n"


def test_a_rejected_image_is_told_with_its_reason_and_what_to_do(imgflow: Cli, two_runs: Store) -> None:
    told = imgflow("why", "letter.jpg", "--store", "./.imgflow")

    assert "unsupported-format: neither JPEG" in told.out
    assert "Not a kind of picture that is read" in told.out
    assert "rejected by run one, not asked again" in told.out
    assert told.err == "next: imgflow --store ./.imgflow retry two --rejected\n"


def test_programs_get_one_document(imgflow: Cli, two_runs: Store) -> None:
    told = imgflow("why", "letter.jpg", "-o", "json").json

    assert (told["image"], told["municipality"]) == ("letter.jpg", "Demo")
    assert [run["verdict"] for run in told["runs"]] == ["rejected", "rejected"]
    assert told["runs"][1]["row"]["code"] == "unsupported-format"
    assert told["now"] == {"version": told["runs"][0]["listed"]["version"], "bytes": 17, "replaced": False}
    assert told["next"] == "imgflow retry two --rejected"
    assert imgflow("why", "letter", "-o", "json").json["error"]["exit"] == 2


def test_an_image_that_was_replaced_or_never_listed_says_so(imgflow: Cli, two_runs: Store) -> None:
    two_runs.write(keys.images("Demo") + "0.jpg", photographs.jpeg(8))
    two_runs.write(keys.images("Demo") + "new.jpg", photographs.jpeg(9))
    two_runs.write(keys.images("Demo") + "notes.txt", b"x")
    two_runs.delete([keys.images("Demo") + "1.jpg"])

    replaced, new, notes, gone = (imgflow("why", name) for name in ("0.jpg", "new.jpg", "notes.txt", "1.jpg"))

    assert "no run has listed this version yet" in replaced.out
    assert replaced.err == "next: imgflow retry two\n"
    assert "no run has listed it yet" in new.out
    assert new.err == "next: imgflow submit --municipality Demo\n"
    assert "names of images end in .avif .bmp" in notes.out
    assert notes.err == ""
    assert "no longer there" in gone.out


def test_an_ending_is_found_in_what_the_whole_municipality_was_listed_by_and_in_newer_choices(
    imgflow: Cli, two_runs: Store
) -> None:
    two_runs.write(keys.images("Demo") + "new.jpg", photographs.jpeg(9))
    for seed in ("1", "2", "3"):
        imgflow("submit", "-m", "Demo", "--workers", "1", "--sample", "1", "--seed", seed, "-q")

    [letter, several] = (imgflow("why", name) for name in ("etter.jpg", ".jpg"))

    assert letter.out.startswith("Image         letter.jpg\n")
    assert "images end with '.jpg'" in several.err
    assert len(several.err.splitlines()) == len(set(several.err.splitlines()))


def test_several_matches_are_listed_and_none_is_answered_with_the_nearest(imgflow: Cli, two_runs: Store) -> None:
    several, none = imgflow("why", ".jpg"), imgflow("why", "leter.jpg")

    assert (several.code, none.code) == (2, 2)
    assert "4 images in" in several.err or "4 images end with '.jpg'" in several.err
    assert [line.strip() for line in several.err.splitlines()[1:5]] == ["0.jpg", "1.jpg", "2.jpg", "letter.jpg"]
    assert "did you mean:\n  letter.jpg" in none.err


def test_images_of_several_municipalities_are_named_with_theirs(imgflow: Cli, two_runs: Store) -> None:
    two_runs.write(keys.images("Östra Göinge") + "0.jpg", photographs.jpeg(1))

    several = imgflow("why", "0.jpg")

    assert "  Demo: 0.jpg\n  Östra Göinge: 0.jpg" in several.err
    assert "--municipality" in several.err
    assert imgflow("why", "0.jpg", "-m", "Demo").code == 0


def test_no_name_reaches_the_terminal_as_it_is(imgflow: Cli, demo: Store) -> None:
    name = "\x1b[31mred\u202e.jpg"
    demo.write(keys.images("Demo") + name, b"not a picture")
    demo.write(keys.images("Demo") + "x" + name, b"not a picture")
    imgflow("submit", "-m", "Demo", "--workers", "1", "-q")

    for told in (imgflow("why", name), imgflow("why", "red\u202e.jpg"), imgflow("why", "red\u202f.jpg")):
        assert "\x1b" not in told.out + told.err
        assert "\u202e" not in told.out + told.err
    assert json.loads(imgflow("why", name, "-o", "json").out)["image"] == name


def test_its_pictures_are_shown(imgflow: Cli, two_runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)

    assert imgflow("why", "1.jpg", "--open").code == 0
    assert [url[-10:] for url in opened] == ["before.jpg", "-after.jpg"]
    assert Path(opened[0].removeprefix("file://")).read_bytes()[:2] == b"\xff\xd8"
    assert imgflow("why", "letter.jpg", "--open").code == 1


def test_an_empty_store_has_no_image(imgflow: Cli) -> None:
    assert "no image" in imgflow("why", "x.jpg").err


def test_a_file_that_is_no_image_is_said_to_be_none_and_what_hides_another(imgflow: Cli, two_runs: Store) -> None:
    two_runs.write(keys.images("Demo") + ".trash/2.jpg", photographs.jpeg(8))

    absent, hidden = imgflow("why", "deed.docx"), imgflow("why", ".trash/2.jpg")

    assert "a file .docx is not an image" in absent.err
    assert "--include" in hidden.out
    assert hidden.err == ""
