"""What a schedule of the cluster needs stays, while what is as old and needed by nobody goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests import photographs

from imgflow_steps.records import keys
from imgflow_steps.records.run import load

if TYPE_CHECKING:
    from tests.cluster.conftest import Place

pytestmark = pytest.mark.cluster

TOWN = "Pruned"
NOW = ("prune", "--older-than", "0h", "--keep", "1", "-m", TOWN, "--what", "digests")


def test_prune_keeps_what_a_schedule_needs_and_deletes_what_nobody_does(place: Place) -> None:
    def told(*arguments: str) -> Any:
        done = place.imgflow(*arguments, "-o", "json")
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def results(run: str) -> set[str]:
        return {found.key for found in place.store.entries(keys.results(TOWN, load(place.store, run).digest))}

    place.store.write(f"{keys.images(TOWN)}1.jpg", photographs.jpeg(1))
    nightly = ("-m", TOWN, "--steps", "scale:64x64")
    told("submit", *nightly, "--run", "pruned-nightly", "--wait")
    told("submit", *nightly, "--cron", "0 3 * * *", "--run", "pruned-schedule")
    for width in (32, 16):
        steps = f"scale:{width}x{width}"
        told("submit", "-m", TOWN, "--steps", steps, "--run", f"pruned-{width}", "--engine", "local")
    scheduled, old, newest = (results(f"pruned-{name}") for name in ("nightly", "32", "16"))
    assert scheduled
    assert old

    planned = place.imgflow(*NOW, "-o", "wide").stdout
    assert "a schedule needs it" in planned
    assert old <= {found.key for found in place.store.entries("results/")}, "without --yes nothing goes"

    told(*NOW, "--yes")
    left = {found.key for found in place.store.entries("results/")}
    assert (scheduled | newest) <= left
    assert not old & left

    place.kubectl("delete", "cronworkflow", "pruned-schedule")
    told(*NOW, "--yes")
    assert not scheduled & {found.key for found in place.store.entries("results/")}
