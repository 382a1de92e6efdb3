"""What a run lost is said at its end, where whoever started it looks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests import photographs

from imgflow_steps.records import keys

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.store import Store

STEPS = ("--steps", "scale:40x40", "--workers", "1")


def test_a_run_with_rejects_names_them_and_their_reasons_at_its_end(imgflow: Cli) -> None:
    photographs.folder(Path("in"), 2)
    Path("in/letter.jpg").write_bytes(b"Dear Sir or Madam")
    Path("in/cut.jpg").write_bytes(photographs.jpeg(1)[:900])

    done = imgflow("submit", "--municipality", "Demo", "--source", "in", "--run", "mine", *STEPS)
    told = imgflow("get", "mine", "-o", "json").json

    assert done.code == 0
    assert re.search(r"succeeded in \S+, 2 rejected", done.out)
    assert "  rejected letter.jpg: unsupported-format: " in done.out
    assert "  rejected cut.jpg: truncated: " in done.out
    assert {one["image"]: one["code"] for one in told["examples"]}["letter.jpg"] == "unsupported-format"

    doctor, known = imgflow("doctor", "mine"), imgflow("doctor", "mine", "-o", "json")
    assert (doctor.code, known.code) == (0, 0)
    assert "2 images rejected, which the run allows" in doctor.out
    assert "truncated: 1 image" in doctor.out
    assert "report mine --open" in doctor.out
    assert (known.json["findings"], [one["cause"] for one in known.json["notes"]]) == ([], ["some-rejected"])


def test_a_run_of_which_nothing_came_fails_and_doctor_agrees(imgflow: Cli) -> None:
    Path("in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Path("in", name).write_bytes(photographs.jpeg(1)[:900])

    done = imgflow("submit", "--municipality", "Demo", "--source", "in", "--run", "mine", *STEPS)
    doctor = imgflow("doctor", "mine")

    assert done.code == 4
    assert "failed" in done.out
    assert "nothing came of the run: all images were rejected" in done.out
    assert doctor.code == 1
    assert "nothing came of the run" in doctor.out + doctor.err


def test_a_retry_whose_photographs_are_gone_is_refused_and_the_run_stays_as_it_was(imgflow: Cli) -> None:
    photographs.folder(Path("in"), 2)
    imgflow("submit", "--municipality", "Demo", "--source", "in", "--run", "mine", *STEPS)
    Path("in").rename("elsewhere")

    done = imgflow("retry", "mine")

    assert done.code == 2
    assert "there is nothing in" in done.err
    assert imgflow("get", "mine", "-o", "json").json["counts"]["processed"] == 2


def test_a_run_of_which_no_chosen_image_is_there_fails(imgflow: Cli, store: Store) -> None:
    photographs.folder(Path("in"), 2)
    Path("table.csv").write_text("path,n\nin/a/000.jpg,0\nin/b/001.jpg,1\n")
    assert imgflow("ingest", "table.csv", "--municipality", "Demo").code == 0
    gone = [one.key for one in store.entries(keys.images("Demo")) if "000" in one.key]
    store.delete(gone)

    done = imgflow("submit", "--municipality", "Demo", "--where", "n = 0", "--run", "mine", *STEPS)
    doctor = imgflow("doctor", "mine")

    assert (len(gone), done.code, doctor.code) == (1, 1, 1)
    assert "the only chosen image is not there" in done.out
    assert "the only chosen image is not there" in doctor.out
    assert " logs " not in doctor.out  # this engine has none


def test_a_run_that_the_store_refuses_has_the_exit_code_of_its_command(imgflow: Cli, store: Store) -> None:
    photographs.folder(Path("in"), 1)
    imgflow("submit", "--municipality", "Demo", "--source", "in", "--run", "mine", *STEPS)
    [rows] = [one.key for one in store.entries("results/") if "/rows/" in one.key]
    store.write(rows, b"{")

    done = imgflow("retry", "mine")

    assert done.code == imgflow("get", "mine", "-o", "json").json["exit"]
    assert rows in done.err
    assert imgflow("fetch", "mine", "out").code == 1  # what it has are the results of the attempt before
