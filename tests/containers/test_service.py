"""The containers of the image service, locked up as the chart locks them up: a picture in, a picture out."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest
from tests import photographs

pytestmark = pytest.mark.containers

LOCKED = ("--pull=never", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=host")
EVERY = {"api": ("PORT", "GRPC_PORT", "METRICS_PORT"), "processor": ("PORT", "HTTP_PORT", "METRICS_PORT")}
PATIENCE = 60  # seconds


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*shlex.split(os.environ.get("IMGFLOW_DOCKER", "docker")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def image(part: str) -> str:
    return f"localhost/imgflow-{part}:dev"


@contextmanager
def started(part: str, **environment: str) -> Iterator[tuple[str, dict[str, int]]]:
    """A container's name and its ports, once it listens."""
    name = f"imgflow-test-{part}-{uuid4().hex[:8]}"
    told = {f"IMGFLOW_SERVE_{part.upper()}_{port}": "0" for port in EVERY[part]}
    told |= {f"IMGFLOW_SERVE_{part.upper()}_HOST": "127.0.0.1", "IMGFLOW_SERVE_DRAIN_DELAY": "0", **environment}
    done = tool("run", "--detach", "--name", name, *LOCKED, *(f"--env={k}={v}" for k, v in told.items()), image(part))
    assert done.returncode == 0, done.stderr
    try:
        yield name, ports(name)
    finally:
        tool("rm", "--force", name)


def ports(name: str) -> dict[str, int]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        logs = tool("logs", name)
        if found := re.search(r"^\{.*\}$", logs.stdout, re.MULTILINE):
            told: dict[str, int] = json.loads(found[0])
            return told
        time.sleep(0.2)
    raise AssertionError(f"{name} does not listen: {logs.stderr}")


def test_a_picture_goes_through_both_containers_and_they_end_when_asked() -> None:
    with (
        started("processor") as (processor, behind),
        started("api", IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{behind['grpc']}") as (api, front),
    ):
        url = f"http://127.0.0.1:{front['http']}"
        photograph = photographs.jpeg(1)
        answer = httpx.post(f"{url}/v1/images?width=48&height=48&grayscale=true", content=photograph, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Imgflow-Result"].startswith("48x")
        whole = httpx.post(f"{url}/v1/images?steps=blur:median,infer", content=photograph, timeout=PATIENCE)
        assert whole.status_code == 200, whole.text
        direct = f"http://127.0.0.1:{behind['http']}/process?width=48&height=48&grayscale=true"
        assert httpx.post(direct, content=photograph, timeout=PATIENCE).content == answer.content
        for name in (api, processor):
            assert tool("stop", "--time=30", name).returncode == 0
            assert tool("inspect", "--format={{.State.ExitCode}}", name).stdout.strip() == "0"


def test_the_page_of_all_images_opens_a_store_and_holds_nothing_that_computes() -> None:
    name = f"imgflow-test-view-{uuid4().hex[:8]}"
    try:
        done = tool(
            "run", "--detach", "--name", name, *LOCKED, "--env=IMGFLOW_STORE=/tmp/store", image("view"), "--port=0"
        )
        assert done.returncode == 0, done.stderr
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(r"listening at (\S+)", (logs := tool("logs", name)).stdout)):
            assert time.monotonic() < deadline, logs.stderr
            time.sleep(0.2)
        assert httpx.get(found[1]).status_code == 200
        look = "import importlib.util as u; print(*(n for n in ('PIL', 'cv2', 'onnxruntime', 'pip') if u.find_spec(n)))"
        assert tool("exec", name, "python", "-c", look).stdout.strip() == ""
    finally:
        tool("rm", "--force", name)


def test_a_processor_holds_no_client_of_a_store_and_no_web_framework() -> None:
    look = "import importlib.util as u; print(*(n for n in {names} if u.find_spec(n)))"
    held = {"processor": ("minio", "fastapi", "celery", "pip"), "api": ("onnxruntime", "cv2", "pip")}
    for part, names in held.items():
        done = tool("run", "--rm", *LOCKED, "--entrypoint=python", image(part), "-c", look.format(names=names))
        assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_they_start_as_an_ordinary_user() -> None:
    for part in EVERY:
        done = tool(
            *("run", "--rm", *LOCKED, "--entrypoint=python", image(part)),
            *("-c", "import os; print(os.getuid(), os.getgid())"),
        )
        assert done.stdout.strip() == "10001 10001", done.stderr
