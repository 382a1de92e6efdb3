"""Small things that people stumble over: words, figures, and what other systems write a little otherwise."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs

from imgflow_cli.commands.verify import in_words
from imgflow_cli.plan import took_in_words
from imgflow_steps.pipeline.lint import doubts
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.prediction import Basis, Prediction, Range, StepPrediction
from imgflow_steps.report.figures import number
from imgflow_steps.store import Store
from imgflow_workflows.results.verify import Verified
from imgflow_workflows.runs.progress import Line, Pace, describe

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (99.7, 2, "100"),
        (999.6, 3, "1,000"),
        (9.97, 2, "10"),
        (1234.5, 2, "1,234"),
        (0.00123, 2, "0.0012"),
        (12.0, 2, "12"),
    ],
)
def test_a_figure_that_is_rounded_up_is_not_written_in_powers(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text


def test_nothing_is_foretold_by_the_first_images_which_wait_for_what_is_loaded_once() -> None:
    pace, now = Pace(), time.time()
    pace(now - 10, 0)
    pace(now - 9, 1)
    assert pace.spans == 1

    assert "left" not in describe(Line("scale", 1, 90, rate=1.0, steady=False))
    assert "left" in describe(Line("scale", 30, 90, rate=12.0))


def test_a_scale_to_the_own_size_is_told_by_lint() -> None:
    assert len(doubts(parse({"steps": ["scale:100%"]}))) == len(doubts(parse({"steps": ["scale:99%"]}))) + 1


def test_of_runs_that_both_reject_an_image_no_picture_is_the_same(imgflow: Cli, demo: Store) -> None:
    for name in ("one", "two"):
        assert imgflow("submit", "-m", "Demo", "--run", name, "--workers", "1", "-q").code == 0

    said = imgflow("diff", "one", "two")

    assert said.out == "two against one: 3 pictures compared · 3 the same · 1 image rejected or failed in both\n"
    assert imgflow("diff", "one", "two", "-o", "json").json["neither"] == 1


def test_what_is_known_of_some_steps_only_is_a_bound_below_without_one_above() -> None:
    known = Range(seconds=100.0, low=4.8, high=249.0)
    basis = Basis(run="a", municipality="Demo", images=9, like="elsewhere")
    step = StepPrediction(**known.model_dump(), step="scale", basis=basis)
    prediction = Prediction(images=9, steps=[step], wall=known, pace="2 processes", unknown=["decode"])

    told = took_in_words(prediction)

    assert told["Time"] == "more than 4.8s, as some steps are not known, after the listing, with 2 processes"
    assert "4m09s" not in " ".join(told.values())


@pytest.mark.parametrize("flag", [["-o", "jsonn"], ["-ojsonn"], ["--output=jsonl"]])
def test_a_format_that_is_not_known_is_refused_in_words(imgflow: Cli, store: Store, flag: list[str]) -> None:
    done = imgflow("ls", *flag)

    assert (done.code, done.out) == (2, "")
    assert "is not one of name, json, yaml, wide, jsonpath=…, custom-columns=…" in done.err


@pytest.mark.parametrize(("words", "what"), [(("ls",), "runs"), (("ls", "municipalities"), "municipalities")])
def test_a_store_without_anything_says_so_and_where_and_what_comes_next(
    imgflow: Cli, tmp_path: Path, words: tuple[str, ...], what: str
) -> None:
    done = imgflow(*words, "--store", "./typo")

    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(
        f"No {what} yet in {tmp_path}/typo, which is not there.\nnext: imgflow --store ./typo submit"
    )
    assert imgflow(*words, "--store", "./typo", "-o", "json").json == {"items": []}


def test_a_zip_of_windows_keeps_its_folders(imgflow: Cli, store: Store) -> None:
    with zipfile.ZipFile("photos.zip", "w") as packed:
        for name in ("2024\\may\\a.jpg", "2024\\b.jpg"):
            member = zipfile.ZipInfo("name")
            member.filename = name
            packed.writestr(member, photographs.jpeg(1))

    done = imgflow("ingest", "photos.zip", "-m", "Demo")

    assert done.code == 0, done.err
    assert {found.key for found in store.entries(keys.images("Demo"))} == {
        keys.images("Demo") + "2024/may/a.jpg",
        keys.images("Demo") + "2024/b.jpg",
    }


@pytest.mark.parametrize("name", ["..\\a.jpg", "\\a.jpg", "b\\..\\..\\a.jpg"])
def test_no_backslash_leads_out_of_a_zip(imgflow: Cli, store: Store, name: str) -> None:
    with zipfile.ZipFile("photos.zip", "w") as packed:
        member = zipfile.ZipInfo("name")
        member.filename = name
        packed.writestr(member, photographs.jpeg(1))

    done = imgflow("ingest", "photos.zip", "-m", "Demo")

    assert done.code == 2
    assert "outside" in done.err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("slash", ["/", "\\"])
def test_a_list_that_windows_wrote_is_read_from_its_first_line_on(
    imgflow: Cli, store: Store, monkeypatch: pytest.MonkeyPatch, encoding: str, slash: str
) -> None:
    photographs.folder(Path("photos"), 2)
    paths = (str(path).replace("/", slash) for path in sorted(Path("photos").rglob("*.jpg")))
    listed = "\ufeff" + "\r\n".join(paths) + "\r\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(listed.encode(encoding))))

    done = imgflow("ingest", "-", "-m", "Demo")

    assert done.code == 0, done.err
    assert {one.key for one in store.entries(keys.images("Demo"))} == {
        f"{keys.images('Demo')}{path}" for path in Path("photos").rglob("*.jpg")
    }


@pytest.mark.parametrize(
    "words", [("lint", "bomb.yaml"), ("submit", "-m", "Demo", "--pipeline", "bomb.yaml"), ("config",)]
)
def test_yaml_whose_aliases_multiply_is_refused_before_it_is_unfolded(
    imgflow: Cli, demo: Store, words: tuple[str, ...]
) -> None:
    names = "abcdefghijklmnopqrstuvwxyz"
    lines = [f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in pairwise(names)]
    text = "\n".join(["a: &a [x, x, x, x, x, x, x, x, x]", *lines, "steps: *z", "store: *z"])
    Path("imgflow.yaml" if words == ("config",) else "bomb.yaml").write_text(text)

    done = imgflow(*words)

    assert done.code == 2
    assert "stands for more than 10,000 values" in done.err
    assert len(done.err) < 1000


@pytest.mark.parametrize("words", [("lint", "deep.yaml"), ("config",)])
def test_what_is_nested_too_deeply_is_said_in_words(imgflow: Cli, words: tuple[str, ...]) -> None:
    Path("imgflow.yaml" if words == ("config",) else "deep.yaml").write_text("steps: " + "[" * 9000 + "]" * 9000)

    done = imgflow(*words)

    assert done.code == 2
    assert "its values are nested too deeply" in done.err
    assert "recursion" not in done.err


def test_a_document_within_reason_may_use_aliases(imgflow: Cli, store: Store) -> None:
    Path("own.yaml").write_text("steps:\n  - scale: &box {width: 64, height: 64}\n  - grayscale\n  - crop: *box\n")

    assert imgflow("lint", "own.yaml").code == 0


def test_an_address_that_is_no_webhook_s_is_told_with_where_it_comes_from(
    imgflow: Cli, demo: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGFLOW_NOTIFY_URL", "hooks.example.org/abc")

    done = imgflow("submit", "-m", "Demo", "-o", "json")

    assert json.loads(done.out)["error"]["exit"] == 2
    assert "IMGFLOW_NOTIFY_URL, is not a web address" in done.out


def test_of_one_thing_nothing_is_told_in_the_plural(imgflow: Cli, store: Store) -> None:
    store.write(keys.images("Demo") + "a.jpg", photographs.jpeg(1))
    run = imgflow("submit", "-m", "Demo", "--steps", "scale:50%", "--workers", "1", "-o", "name").out.strip()

    said = [
        imgflow("fetch", run, "got").out,
        imgflow("get", run, "-o", "wide").out,
        imgflow("plan", "-m", "Demo", "--steps", "scale:60%", "--shard-size", "1").out,
        in_words(Verified(pictures=1, images=1, covered=1)),
    ]

    assert "1 of 1 picture copied" in said[0]
    assert "of up to 1 image\n" in said[2]
    assert re.findall(r"\b1 [a-z]+s\b", "\n".join(said)) == []


def test_times_that_are_too_short_for_a_number_are_said_once() -> None:
    short = Range(seconds=0.01, low=0.01, high=0.02)
    basis = Basis(run="a", municipality="Demo", images=1, like="elsewhere")
    step = StepPrediction(**short.model_dump(), step="scale", basis=basis)
    words = took_in_words(Prediction(images=1, steps=[step], wall=short, pace="2 processes"))

    assert words["Core time"] == "less than 0.1s of one core, for all images"
    assert words["Time"] == "less than 0.1s after the listing, with 2 processes"
