"""``python -m bench.cluster``: pods on a real cluster, few for many images against one for each image and step.

Needs a namespace with the chart and a kubeconfig. All runs go through the command line, from submit to the report, and
what counts is the time for each image. The fan-out gets fewer images than the shards, as every image costs it seconds.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from bench.__main__ import SCRATCH
from bench.measure import Line, line

from bench import machine, photographs, results, table

SECTION = "Cluster: {} to {} web-sized photographs, default pipeline"
GOAL = 20
FAN_OUT = ("--layout", "steps", "--shard-size", "1")
LAYOUTS = ("fused", "steps")


def main(
    namespace: Annotated[str, typer.Option(help="One that has the chart.")] = "imgflow",
    images: Annotated[int, typer.Option(min=1, help="Images for one pod per image and step.")] = 60,
    times: Annotated[int, typer.Option(min=1, help="So many times as many for shards of planned size.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; one takes some minutes.")] = 1,
    out: Annotated[Path, typer.Option(help="Where the results go.")] = results.FOLDER / "cluster",
) -> None:
    """Measure on the cluster that kubectl talks to, print a table and write it."""
    say = partial(typer.echo, err=True)
    name = f"bench-{time.strftime('%H%M%S')}"
    few, many = fill(SCRATCH / "cluster", images), fill(SCRATCH / "cluster-many", images * times)
    costs: dict[str, list[float]] = {"pods": [], **{layout: [] for layout in LAYOUTS}}
    started = time.time()
    for turn in range(rounds):
        for kind in costs if turn % 2 == 0 else reversed(costs):
            say(f"{kind} …")
            flags, folder = (FAN_OUT, few) if kind == "pods" else (("--layout", kind), many)
            costs[kind].append(run(namespace, f"{name}-{kind}-{turn}", folder, flags) / len(list(folder.iterdir())))
    lines = compared(costs, SECTION.format(images, images * times))
    typer.echo(table.markdown(lines))
    about = {
        "command": "make bench-cluster",
        "made": time.strftime("%Y-%m-%d", time.gmtime(started)),
        "rounds": rounds,
        "seconds": round(time.time() - started),
        "machine": machine.machine() | {"nodes": nodes()},
        "versions": machine.versions(),
        "photographs": [],
    }
    results.write(out, lines, about)
    say(f"written to {out}")


def compared(costs: dict[str, list[float]], section: str) -> list[Line]:
    """One pod for each image and step against both layouts, per image."""
    return [
        line(
            section,
            f"one pod per image and step / {layout}, per image",
            [pods / shards for pods, shards in zip(costs["pods"], costs[layout], strict=True)],
            goal=GOAL if layout == "fused" else None,
            note="from submit to report, at the shard size that is planned",
            seconds={name: costs[name] for name in ("pods", layout)},
        )
        for layout in LAYOUTS
    ]


def fill(folder: Path, count: int) -> Path:
    """``count`` web-sized photographs in a folder, nothing else."""
    shots = [shot for shot in photographs.SHOTS if shot.kind in photographs.WEB]
    sources = photographs.make(SCRATCH / "photographs", shots)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(count):
        shutil.copyfile(sources[number % len(sources)], folder / f"{number:05d}.jpg")
    return folder


def run(namespace: str, name: str, folder: Path, flags: tuple[str, ...]) -> float:
    """Seconds from submit to the end of a run over a folder that was brought in before; then the run is forgotten.

    Raises RuntimeError when not every image was processed, CalledProcessError when imgflow fails.
    """
    imgflow(namespace, "ingest", str(folder), "--municipality", name)
    started = time.perf_counter()
    told = json.loads(
        imgflow(namespace, "submit", "--municipality", name, "--run", name, "--wait", *flags, "--output", "json")
    )
    seconds = time.perf_counter() - started
    if told["counts"]["processed"] != len(list(folder.iterdir())):
        raise RuntimeError(f"run {name} ended with {told['counts']}; imgflow --engine argo report {name} says why")
    imgflow(namespace, "delete", name, "--yes")
    return seconds


def imgflow(namespace: str, *words: str) -> str:
    """What imgflow's command line answers; its messages pass through."""
    command = [sys.executable, "-m", "imgflow_cli", "--engine", "argo", "--namespace", namespace, *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def nodes() -> int:
    """Nodes that kubectl sees."""
    words = ["kubectl", "get", "nodes", "--output", "name"]
    return len(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split())


if __name__ == "__main__":
    typer.run(main)
