"""The explorer as its container runs it: over the store of the environment, for those who may ask, until its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests import photographs

from imgflow_cli.__main__ import main

COMMAND = [sys.executable, "-m", "imgflow_workflows.explorer", "--port", "0"]


@contextmanager
def started(store: Path, *names: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address."""
    environment = {**os.environ, "IMGFLOW_STORE": str(store)}
    with subprocess.Popen([*COMMAND, *names], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = re.search(r"http://localhost:(\d+)/", process.stdout.readline())
        assert found
        try:
            yield process, f"http://127.0.0.1:{found[1]}"
        finally:
            process.kill()


def test_it_shows_the_store_of_the_environment_and_ends_when_asked(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/harbour.jpg").write_bytes(photographs.jpeg(1, 64, 48))
    store = tmp_path / "store"
    assert main(["submit", "--store", str(store), "-m", "Delft", "--source", str(tmp_path / "in"), "-q"]) == 0

    with started(store) as (process, url):
        page = httpx.get(url)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in {0, -signal.SIGTERM}

    assert page.status_code == 200
    assert "harbour.jpg" in page.text


def test_a_store_that_holds_nothing_yet_is_shown_as_such(tmp_path: Path) -> None:
    with started(tmp_path) as (_, url):
        assert httpx.get(url).status_code == 200


def test_it_answers_only_to_names_that_it_is_told(tmp_path: Path) -> None:
    with started(tmp_path, "photos.example.org") as (_, url):
        asked = {
            name: httpx.get(url, headers={"Host": name}).status_code for name in ("photos.example.org", "other.org")
        }

    assert asked == {"photos.example.org": 200, "other.org": 400}


def test_without_a_store_it_says_what_to_set() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "IMGFLOW_STORE"}
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (1, "Error: there is no store to look at: set IMGFLOW_STORE\n")
