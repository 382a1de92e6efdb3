"""A model that loops is opened before a run begins, and never for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from tests import photographs

PIPELINE = "{limits: {seconds: 0.5}, steps: [{infer: {model: loop.onnx}}]}"
SUBMIT = ("submit", "--municipality", "Demo", "--source", "in", "--pipeline", "loop.yaml")
SOON = "import imgflow_steps.worker.loop as loop; loop.OPENING = 0.5"
SPENT = 5  # seconds of processor time, by which a command has long begun to open
COMMAND = "import sys; from imgflow_cli.__main__ import main; sys.exit(main())"


def looping(path: Path) -> None:
    """A model that never comes to an end of the first picture."""
    float_, bool_ = TensorProto.FLOAT, TensorProto.BOOL
    values = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in (
        ("round", TensorProto.INT64, []), ("go", bool_, []), ("mean", float_, [1]),
        ("on", bool_, []), ("same", float_, [1]), ("picture", float_, [1, 3, 8, 8]), ("out", float_, [1]),
    )]  # fmt: skip
    kept = [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["mean"], ["same"])]
    body = helper.make_graph(kept, "body", values[:3], values[3:5])
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["first"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Loop", ["", "true", "first"], ["out"], body=body),
    ]
    true = helper.make_tensor("true", bool_, [], [True])
    graph = helper.make_graph(nodes, "loops", values[5:6], values[6:], [true])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path) -> None:
    photographs.folder(tmp_path / "in", 1)
    looping(tmp_path / "loop.onnx")
    (tmp_path / "loop.yaml").write_text(PIPELINE)


def start(*command: str, first: str = "pass") -> subprocess.Popen[bytes]:
    """A command of its own: a thread that never ends is to end with it."""
    code = [sys.executable, "-c", f"{first}; {COMMAND}", *command]
    return subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("command", [SUBMIT, ("lint", "loop.yaml")], ids=lambda command: command[0])
def test_a_model_that_loops_is_refused_before_anything_begins(command: tuple[str, ...]) -> None:
    with start(*command, first=SOON) as started:
        try:
            said = started.communicate(timeout=120)[0]
        finally:
            started.kill()
    assert started.returncode == 2, said
    assert b"does not open" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_waits_for_a_model_that_loops_can_end_that(number: int) -> None:
    with start(*SUBMIT) as started:
        try:
            until = time.monotonic() + 60
            while _spent(started.pid) < SPENT and time.monotonic() < until:
                time.sleep(0.1)
            started.send_signal(number)
            said = started.communicate(timeout=60)[0]
        finally:
            started.kill()
    assert started.returncode == 130, said
    assert b"nterrupted" in said


def _spent(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
