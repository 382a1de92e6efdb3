"""What submit --cron refuses before it asks a cluster: whatever is decided now and would be old when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.store import Store

NIGHTLY = ("submit", "-m", "Demo", "--cron", "0 3 * * *")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--where", "street = 'Oak'"), "--where, --sample and --once choose now"),
        (("--sample", "2"), "--where, --sample and --once choose now"),
        (("--set", "collect.sections=street"), "a column of the catalog is read now"),
    ],
)
def test_a_schedule_keeps_nothing_that_is_read_from_the_catalog_now(
    imgflow: Cli, demo: Store, flags: tuple[str, ...], told: str
) -> None:
    done = imgflow(*NIGHTLY, *flags, "--engine", "argo", "--store", demo.url)

    assert done.code == 2
    assert told in done.err
    assert not list(demo.entries("runs/"))


def test_only_a_cluster_keeps_a_schedule(imgflow: Cli, demo: Store) -> None:
    done = imgflow(*NIGHTLY)

    assert done.code == 2
    assert "only a cluster keeps schedules" in done.err
    assert not list(demo.entries("runs/"))
