"""A container that is at work ends when whoever gave it the job is gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from imgflow_steps.contract.job import LIFELINE, Exit, Job


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A store that takes connections and says nothing: a job waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def container(server: socket.socket, **more: str) -> subprocess.Popen[bytes]:
    """One at work: its store has its first question, and no answer."""
    asked = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}", "AWS_REGION": "us-east-1"}
    keys = {"AWS_ACCESS_KEY_ID": "who", "AWS_SECRET_ACCESS_KEY": "never-mind"}
    process = subprocess.Popen(
        [sys.executable, "-m", "imgflow_steps"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | asked | keys | more,
    )  # fmt: skip
    assert process.stdin
    process.stdin.write(Job(step="list", run="one", store="s3://bucket").model_dump_json().encode() + b"\n")
    process.stdin.flush()
    return process


def test_a_container_ends_with_its_standard_input_where_that_is_its_lifeline(silent: socket.socket) -> None:
    with container(silent, **{LIFELINE: "1"}) as process, silent.accept()[0] as asked:
        asked.recv(1)
        assert process.poll() is None
        _, said = process.communicate()  # which closes its input
    assert process.returncode == Exit.TEMPORARY
    assert b'"stopped"' in said


def test_where_it_is_not_a_job_goes_on_behind_the_end_of_its_input(silent: socket.socket) -> None:
    with container(silent) as process:
        assert process.stdin
        process.stdin.close()
        with silent.accept()[0] as asked:
            asked.recv(1)
            assert process.poll() is None
            process.kill()
