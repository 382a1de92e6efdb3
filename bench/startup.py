"""How long it takes until anything happens: the command line's help, and what a container loads."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.measure import Bench, Line, Task, command, command_cpu, interleave, line, times

SECTION = "Start-up, in processor time"

DOOR = "import pydantic\nclass One(pydantic.BaseModel):\n    number: int = 1"
LIBRARIES = f"{DOOR}\nimport PIL.Image, cykooz_resizer, minio, numpy, pebble"
WORKER = "import imgflow_steps.scale.work, imgflow_steps.store.s3, imgflow_steps.worker.loop, imgflow_steps.worker.pool"
CODES = {
    "python": "pass",
    "typer": "import typer",
    "pydantic": DOOR,
    "libraries": LIBRARIES,
    "coordinator": "import imgflow_steps.__main__",
    "process": WORKER,
}


def measure(bench: Bench) -> Iterator[Line]:
    """Ratios to what has to be loaded whoever writes the rest."""
    tasks: dict[str, Task] = {name: command_cpu(command([sys.executable, "-c", code])) for name, code in CODES.items()}
    tasks["help"] = command_cpu(command([sys.executable, "-m", "imgflow_cli", "--help"]))
    costs = interleave(tasks, bench.rounds)

    def said(name: str, this: str, other: str, goal: float | None = None) -> Line:
        pair = {name: costs[name] for name in (this, other)}
        return line(SECTION, name, times(costs, other, this), goal=goal, at_most=True, seconds=pair)

    yield said("`imgflow --help` / `python -c 'import typer'`", "help", "typer", 2.0)
    yield said("a container's entrypoint / one model of pydantic", "coordinator", "pydantic")
    yield said("a computing process / its libraries alone", "process", "libraries", 1.3)
