"""The built containers, run as anybody may run them: locked up, one JSON job in, one JSON result out."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time

import pytest
from tests import photographs

from imgflow_steps.contract.job import Exit, Job, Result
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import parse
from imgflow_steps.pipeline.registry import PIXEL_STEPS, STEPS
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import Store

pytestmark = pytest.mark.containers

CONTAINERS = sorted({step.container or step.name for step in STEPS.values()} | {"fused"})
LOCKED = ("--rm", "--interactive", "--pull=never", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=none")

every_container = pytest.mark.parametrize("container", CONTAINERS)


def tool(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [*shlex.split(os.environ.get("IMGFLOW_DOCKER", "docker")), *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)


def run(
    container: str, *arguments: str, flags: tuple[str, ...] = (), text: str = ""
) -> subprocess.CompletedProcess[str]:
    """A container locked up: no network, nothing to write but /tmp."""
    return tool("run", *LOCKED, *flags, image(container), *arguments, text=text)


def image(container: str) -> str:
    return f"localhost/imgflow-{container}:dev"


def python(container: str, code: str) -> str:
    done = run(container, "-c", code, flags=("--entrypoint=python",))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@every_container
def test_it_starts_as_an_ordinary_user_and_says_how_it_is_called(container: str) -> None:
    assert python(container, "import os; print(os.getuid(), os.getgid())") == "10001 10001"
    helped = run(container, "--help")
    assert helped.returncode == 0
    assert "--run" in helped.stdout + helped.stderr


@every_container
def test_no_pip_no_cache_and_everything_compiled(container: str) -> None:
    look = """
import importlib.util, pathlib, sys
site = pathlib.Path("/venv/lib/python3.13/site-packages")
found = [name for name in ("pip", "setuptools", "hera", "typer") if importlib.util.find_spec(name)]
sources = {path for path in site.rglob("*.py") if path.parent.name != "__pycache__"}
bare = [path for path in site.glob("imgflow_*/**/*.py")
        if not pathlib.Path(importlib.util.cache_from_source(path)).exists()]
twice = len(list(site.rglob("*.pyc"))) > len(sources)
print(found, bare, twice, list(site.glob("bin")))
"""
    assert python(container, look) == "[] [] False []"


@every_container
def test_a_step_finds_what_it_needs_in_its_container(container: str) -> None:
    inside = (
        PIXEL_STEPS if container == "fused" else [n for n, step in STEPS.items() if container in {n, step.container}]
    )
    modules = [f"imgflow_steps.{name}.work" for name in inside]
    assert modules
    python(container, f"import imgflow_steps.worker.runner, imgflow_steps.store.s3, {', '.join(modules)}")


@every_container
def test_nonsense_on_standard_input_is_answered_by_one_json_document(container: str) -> None:
    done = run(container, text='{"step": "scale"}')
    result = Result.model_validate_json(done.stdout)
    assert done.returncode == result.exit == Exit.BAD_PARAMETERS
    assert "run: Field required" in result.error


def test_a_job_on_standard_input_gives_one_result_on_standard_output(directory_store: Store) -> None:
    store = directory_store
    for i in range(3):
        store.write(keys.images("Demo") + f"{i}.jpg", photographs.jpeg(i))
    pipeline = parse({"steps": [{"scale": {"width": 32, "height": 32}}]})
    save(store, Run(id="by-hand", municipality="Demo", pipeline=pipeline, list=List(shard_size=3), created=time.time()))
    reach = ("--volume", f"{store.url}:/store", f"--user={os.getuid()}:{os.getgid()}")
    for step, position in (("list", 0), ("scale", 1), ("collect", 0)):
        job = Job(step=step, run="by-hand", position=position, store="/store")
        done = run(step, flags=reach, text=job.model_dump_json())
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["job"] == job.model_dump()
    assert Result.model_validate_json(done.stdout).counts.processed == 3


def test_equal_pins_share_a_layer() -> None:
    def layers(container: str) -> list[str]:
        [found] = json.loads(tool("image", "inspect", image(container)).stdout)
        return list(found["RootFS"]["Layers"])

    assert layers("scale") == layers("grayscale")


def test_containers_say_what_they_are_and_stay_small() -> None:
    # MB, with Python
    most = {"list": 260, "collect": 320, "scale": 350, "grayscale": 350, "transform": 520, "infer": 430, "fused": 600}
    most |= {"api": 400, "processor": 620, "view": 580}
    assert {*CONTAINERS, "api", "processor", "view"} == most.keys()
    for container in most:
        [found] = json.loads(tool("image", "inspect", image(container)).stdout)
        size = found["Size"] / 1e6
        print(f"{container}: {size:.0f} MB")  # noqa: T201 - shown by pytest -s
        assert size < most[container]
        labels = found["Config"]["Labels"]
        assert labels["org.opencontainers.image.title"] == f"imgflow-{container}"
        assert labels["org.opencontainers.image.version"]
        assert labels["org.opencontainers.image.revision"]
