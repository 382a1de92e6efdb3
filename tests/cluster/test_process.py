"""A folder of one's own through the cluster and back, by a command that is killed twice on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs

from imgflow_steps.records import keys
from imgflow_steps.records.row import Status
from imgflow_steps.records.rows import merged
from imgflow_steps.records.run import load
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from tests.cluster.conftest import Place

pytestmark = pytest.mark.cluster

IMAGES = 500


def been(there: Callable[[], bool]) -> bool:
    """Whether it is so; a run that is not written yet has computed nothing."""
    with suppress(NotFoundError):
        return there()
    return False


def killed_when(there: Callable[[], bool], place: Place, *arguments: str) -> None:
    """Run imgflow until something is there, and kill it then."""
    env = {**os.environ, **place.environment}
    process = subprocess.Popen([sys.executable, "-m", "imgflow_cli", *arguments], env=env, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not been(there) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    assert process.poll() is None, "it had ended before it could be killed"
    process.kill()
    process.wait()


def test_a_folder_is_processed_whole_and_nothing_twice_though_the_command_is_killed_twice(
    place: Place, tmp_path: Path
) -> None:
    source = photographs.folder(tmp_path / "in", IMAGES, width=64, height=48)
    steps = ("--steps", "scale:32x32,grayscale", "--shard-size", "50")
    command = ("process", str(source), str(tmp_path / "out"), *steps, "-o", "json")

    def of_this(prefix: str) -> list[str]:
        return [name for name in place.store.folders(prefix) if name.startswith("in-")]

    def uploaded() -> int:
        return sum(1 for name in of_this("datasets/") for _ in place.store.entries(keys.images(keys.decode(name))))

    def computed() -> dict[str, float]:
        if not (names := of_this("runs/")):
            return {}
        with merged(place.store, load(place.store, names[0]).rows) as rows:
            return {row.image: row.ended for row in rows if row.status is Status.PROCESSED}

    killed_when(lambda: uploaded() > 0, place, *command)
    assert uploaded() < IMAGES
    killed_when(lambda: bool(computed()), place, *command)
    before = computed()
    assert len(before) < IMAGES
    done = place.imgflow(*command)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    said = json.loads(done.stdout)
    assert said["counts"] == {"listed": IMAGES, "processed": IMAGES, "cached": 0, "rejected": 0, "failed": 0}
    assert (said["copied"], said["refused"]) == (IMAGES, {})
    after = computed()
    assert {image: after[image] for image in before} == before
    assert len(place.pods(place.workflow(said["run"]))) >= IMAGES // 50
    names = [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.jpg")]
    assert sorted(names) == sorted(path.relative_to(source).as_posix() for path in source.rglob("*.jpg"))
    assert json.loads(place.imgflow(*command).stdout)["present"] == IMAGES
