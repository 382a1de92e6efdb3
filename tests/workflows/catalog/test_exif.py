"""What rows tell of pictures, as columns."""

from __future__ import annotations

from imgflow_steps.records.row import Row
from imgflow_steps.report.account import Account
from imgflow_workflows.catalog import exif


def test_what_an_earlier_imgflow_wrote_down_of_one_picture_costs_no_other() -> None:
    row = Row(
        image="a.jpg", version="", exif={"taken": "2026-05-01T12:00:00.\uff11", "iso": 2**64 - 1, "camera": "X100"}
    )
    account = Account(run="one")

    account.add(row)

    assert exif.columns(row) == {"taken": None, "iso": float(2**64 - 1), "camera": "X100"}
    assert (account.taken.n, account.cameras.words) == (0, {"X100": 1})
