"""What may stand in a CronWorkflow is what Argo's parser takes."""

from __future__ import annotations

import pytest

from imgflow_steps.contract.step import BadParametersError
from imgflow_workflows.argo.schedule import check_schedule


@pytest.mark.parametrize(
    "schedule",
    [
        "0 3 * * *",
        "*/5 * * * *",
        "0,30 8-18/2 1-7 jan-MAR mon",
        "0 0 ? * sun",
        "0 3 * * mon-fri",
        "@daily",
        "@every 1h30m",
    ],
)
def test_what_cron_knows_is_a_schedule(schedule: str) -> None:
    check_schedule(schedule)


@pytest.mark.parametrize(
    "schedule",
    [
        *("", "daily", "@dayly", "@every", "3", "0 3 * *", "0 3 * * * *", "0, 3 * * *", "0;rm 3 * * *"),
        *("60 3 * * *", "0 24 * * *", "0 3 0 * *", "0 3 * 13 *", "0 3 * * 7", "0 3 * * monday", "*/0 * * * *"),
        *("0 3 * foo *", "0 3 * * jan", "0 3 5-2 * *", "0 3 * * fri-mon", "@every 5x", "@every h"),
    ],
)
def test_what_argo_would_never_start_is_no_schedule(schedule: str) -> None:
    with pytest.raises(BadParametersError, match="is not a schedule"):
        check_schedule(schedule)
