"""A line for each noteworthy event, whatever images are called."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests import photographs

from imgflow_steps.contract.job import Job
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.row import Row, Status
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import Store
from imgflow_steps.worker import log

JOB = Job(step="scale", run="utrecht-1", position=1, shard=17)
FORGED = 'a\n{"event": "end", "exit": 0}\u2028{"event": "end"}\x85\x1b[2J\u202e.jpg'


Said = Callable[[], str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[Said]:
    """What was logged; pytest's own handlers come back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("imgflow_steps")
    before = root.handlers[:], root.level, ours.level
    root.handlers = []  # or they would be closed
    yield lambda: capsys.readouterr().err
    root.handlers = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def lines(said: Said) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said().splitlines()]


def test_every_line_says_when_what_and_for_which_run_and_shard(said: Said) -> None:
    log.set_up({})(JOB)
    logging.getLogger("imgflow_steps.worker.runner").info("start", extra=log.facts(version="1", store=""))
    [line] = lines(said)
    assert line.pop("time") > 0
    assert line == {
        "level": "info",
        "event": "start",
        "run": "utrecht-1",
        "step": "scale",
        "position": 1,
        "shard": 17,
        "version": "1",
    }


def test_a_rejected_or_failed_image_is_named_with_its_reason_and_a_good_one_is_not(said: Said) -> None:
    log.set_up({})(JOB)
    log.image(Row(image="good.jpg", version="1", ms={"decode": 5.0}))
    log.image(Row(image="bad.jpg", version="1", status=Status.REJECTED, code="undecodable", message="x" * 10_000))
    log.image(Row(image="lost.jpg", version="1", status=Status.FAILED, code="denied", message="not allowed"))
    rejected, failed = lines(said)
    assert (rejected["event"], rejected["image"], rejected["code"]) == ("rejected", "bad.jpg", "undecodable")
    assert len(rejected["message"]) == log.MESSAGE
    assert (failed["event"], failed["image"], failed["code"]) == ("failed", "lost.jpg", "denied")


def test_a_slow_image_is_named_with_where_its_time_went_in_this_container(said: Said) -> None:
    log.set_up({})(JOB)
    row = Row(image="huge.tif", version="1", bytes=9, ms={"fetch": 9000.0, "decode": 800.0, "scale": 900.0})
    log.image(row)
    log.image(row, before={"fetch", "decode"})
    [line] = lines(said)
    assert (line["event"], line["image"], line["ms"]) == ("slow", "huge.tif", 10700)
    assert line["parts"] == {"fetch": 9000, "decode": 800, "scale": 900}


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_name_begins_a_line_of_its_own_or_commands_a_terminal(said: Said, form: str) -> None:
    log.set_up({"IMGFLOW_LOG": form})(JOB)
    log.image(Row(image=FORGED, version="1", status=Status.REJECTED, code="c", message=FORGED))
    text = said()
    assert len(text.splitlines()) == 1
    assert text.rstrip("\n").isprintable()
    assert text.isascii()
    if form == "json":
        assert json.loads(text)["image"] == FORGED


def test_text_is_for_people(said: Said) -> None:
    log.set_up({"IMGFLOW_LOG": "text"})(JOB)
    log.image(Row(image="bad one.jpg", version="1", status=Status.REJECTED, code="c", message="m", ms={"decode": 3.2}))
    clock, rest = said().split(" ", 1)
    assert clock.count(":") == 2
    assert rest == 'scale 17 rejected image="bad one.jpg" code="c" message="m" ms=3\n'


def test_what_a_library_says_keeps_its_message_and_its_traceback(said: Said) -> None:
    log.set_up({})(JOB)
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("urllib3.connectionpool").exception("retrying %s", "x")
    [line] = lines(said)
    assert (line["event"], line["level"], line["message"]) == ("message", "error", "retrying x")
    assert line["logger"] == "urllib3.connectionpool"
    assert "ValueError" in line["trace"]


def test_a_terminal_gets_text_unless_json_was_asked_for(directory_store: Store) -> None:
    for form, begins in (("", ":"), ("json", "{")):
        near, far = pty.openpty()
        command = [sys.executable, "-m", "imgflow_steps", "list", "--run=none"]
        environment = {**os.environ, "IMGFLOW_STORE": directory_store.url, "IMGFLOW_LOG": form}
        subprocess.run(command, stderr=far, check=False, env=environment)
        first = os.read(near, 10_000).decode().splitlines()[0]
        os.close(near)
        os.close(far)
        assert begins in first[:3], first


def test_each_container_names_only_what_it_put_aside_itself(directory_store: Store) -> None:
    directory_store.write(keys.images("Demo") + "good.jpg", photographs.jpeg(1))
    directory_store.write(keys.images("Demo") + f"{FORGED}", b"no photograph at all")
    pipeline = parse({"steps": [{"scale": {"width": 40, "height": 40}}, "grayscale"]})
    run = Run(id="logged", municipality="Demo", pipeline=pipeline, list=List(layout="steps", shard_size=9), created=1.0)
    save(directory_store, run)
    told: dict[str, list[dict[str, Any]]] = {}
    for position, step in enumerate(("list", "scale", "grayscale", "collect")):
        flags = [step, "--run=logged", f"--position={position % 3}"]
        environment = {**os.environ, "IMGFLOW_STORE": directory_store.url}
        done = subprocess.run(
            [sys.executable, "-m", "imgflow_steps", *flags], capture_output=True, text=True, check=True, env=environment
        )
        told[step] = [json.loads(line) for line in done.stderr.splitlines()]

    assert [line["event"] for line in told["list"]] == ["start", "end"]
    [rejected] = [line for line in told["scale"] if line["event"] == "rejected"]
    assert (rejected["image"], rejected["run"], rejected["shard"]) == (FORGED, "logged", 0)
    assert not [line for line in told["grayscale"] if line["event"] == "rejected"]
    assert [line["event"] for line in told["collect"]] == ["start", "end"]
    assert all(line["run"] == "logged" and line["step"] == step for step, lines in told.items() for line in lines)
