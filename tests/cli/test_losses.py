"""What a run lost is said at its end, where whoever started it looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests import photographs

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

STEPS = ("--steps", "scale:40x40", "--workers", "1")


def test_a_run_with_rejects_names_them_and_their_reasons_at_its_end(imgflow: Cli) -> None:
    photographs.folder(Path("in"), 2)
    Path("in/letter.jpg").write_bytes(b"Dear Sir or Madam")
    Path("in/cut.jpg").write_bytes(photographs.jpeg(1)[:900])

    done = imgflow("submit", "--municipality", "Demo", "--source", "in", "--run", "mine", *STEPS)
    told = imgflow("get", "mine", "-o", "json").json

    assert done.code == 0
    assert "succeeded, 2 rejected" in done.out
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
