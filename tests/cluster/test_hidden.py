"""On a cluster, too, what redact covers is seen nowhere but in the originals."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests import leaks

from imgflow_cli.demo_faces import finder
from imgflow_steps.records import keys

if TYPE_CHECKING:
    from tests.cluster.conftest import Place

pytestmark = [pytest.mark.cluster, pytest.mark.faces]

TOWN, RUN = "Covered", "covered"
MINE = (f"results/{TOWN}/", f"runs/{RUN}/", f"scratch/{RUN}/", "runs/apart/", "scratch/apart/")
PATIENCE = 300  # seconds until a pod of the run is there


def until(found: Callable[[], Any]) -> Any:
    """What it gives, as soon as that is anything."""
    deadline = time.monotonic() + PATIENCE
    while not (there := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return there


def states(pod: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pod["status"].get("containerStatuses", [])
    return found


def test_nothing_but_the_originals_shows_a_face_though_images_fail_and_a_pod_is_killed(
    place: Place, held: Callable[[], None], tmp_path: Path
) -> None:
    many = leaks.dataset(place.store, TOWN)
    steps = [{"infer": {"model": str(finder(tmp_path))}}, "redact", "scale:400x400"]
    (tmp_path / "covers.yaml").write_text(yaml.safe_dump({"steps": steps}))
    asked = ("submit", "-m", TOWN, "--steps", f"@{tmp_path / 'covers.yaml'}", "--shard-size", "3")

    apart = place.imgflow(*asked, "--run", "apart", "--layout", "steps", "--wait")
    assert apart.returncode != 0
    assert "choose layout fused" in apart.stdout + apart.stderr + place.imgflow("status", "apart").stdout

    begun = place.imgflow(*asked, "--run", RUN)
    assert begun.returncode == 0, begun.stderr
    until(lambda: place.store.stat(keys.listing_json(RUN)))
    for name in ("plain.jpg", "over.jpg"):  # replaced since they were listed
        place.store.write(keys.images(TOWN) + name, leaks.astronaut("JPEG", 8))
    held()
    selector = f"imgflow.io/run={RUN},imgflow.io/step=fused"

    def running() -> list[str]:
        pods = json.loads(place.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        main = {pod["metadata"]["name"]: state for pod in pods for state in states(pod) if state["name"] == "main"}
        return [name for name, state in main.items() if "running" in state["state"]]

    pod = until(running)[0]  # its Python takes longer to begin than it takes to delete it
    place.kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")
    place.ended(RUN)
    _, summary = place.summary(RUN)
    assert summary.counts.failed >= 2
    assert leaks.showing(leaks.in_store(place.store, *MINE), tmp_path)[0] == []

    again = place.imgflow("retry", RUN, "--wait")
    _, summary = place.summary(RUN)
    assert (summary.counts.processed, summary.counts.rejected) == (many - 1, 1), again.stderr
    shown, looked = leaks.showing(leaks.in_store(place.store, *MINE), tmp_path)
    assert (shown, looked > 0) == ([], True)
