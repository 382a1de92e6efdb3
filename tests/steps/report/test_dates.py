"""When photographs were taken, as the clocks of cameras tell: whatever date it is, the report is written."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.made_runs import make_run

from imgflow_steps.collect.work import run as collect

if TYPE_CHECKING:
    from pathlib import Path


def told(folder: Path, dates: list[str]) -> str:
    """The section of a run whose photographs were taken then."""
    made = make_run(folder / "store")
    names = [f"{i:04d}.jpg" for i in range(len(dates))]
    made.list(names)
    made.add(*(made.row(name, exif={"taken": when}) for name, when in zip(names, dates, strict=True)))
    collect(made.store, made.run, output=folder / "report")
    page = (folder / "report/index.html").read_text().replace("\N{NO-BREAK SPACE}", " ")
    [found] = re.findall(r'<section id="told".*?</section>', page, re.DOTALL)
    return str(found)


@pytest.mark.parametrize("odd", ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"])
def test_the_first_and_the_last_date_there_is_are_no_end_of_a_report(tmp_path: Path, odd: str) -> None:
    usual = [(datetime(2024, 1, 1) + timedelta(hours=7 * i)).isoformat() for i in range(600)]  # noqa: DTZ001 - a camera's
    section = told(tmp_path, [odd, *usual])
    assert "601 photographs taken" in section
    assert f"<span>{odd[:10]}</span>" in section


def test_a_camera_whose_clock_began_anew_says_so(tmp_path: Path) -> None:
    assert "all at 1970-01-01 00:00" in told(tmp_path, ["1970-01-01T00:00:00"] * 2)
