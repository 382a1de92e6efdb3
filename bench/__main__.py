"""``python -m bench``: how fast imgflow is beside what others would use, and whether its goals are met."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from bench import measure

# A section is a module with ``measure(bench)``, which gives lines; loaded when it is asked for.
SECTIONS = ("single", "folder", "infer", "choice", "store", "startup", "memory")
APART = ("service", "explorer")  # each measured when it is asked for, alone; its figures are in a folder of its own
ALL = SECTIONS + APART

ROOT = Path(__file__).parents[1]
SCRATCH = ROOT / "build" / "bench"


def main(
    only: Annotated[
        list[str] | None, typer.Option(help=f"Sections: {', '.join(SECTIONS + APART)}; repeatable.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which the contenders take turns.")] = measure.ROUNDS,
    quick: Annotated[bool, typer.Option("--quick", help="One round, few images; its figures mean nothing.")] = False,
    images: Annotated[
        Path | None,
        typer.Option(
            envvar="BENCH_IMAGES",
            exists=True,
            file_okay=False,
            help="Photographs to measure with; made from scikit-image's when not given.",
        ),
    ] = None,
    scratch: Annotated[Path, typer.Option(help="Where things are made on the way.", show_default=False)] = SCRATCH,
    out: Annotated[Path | None, typer.Option(help="Where the results go, instead of bench/figures.")] = None,
) -> None:
    """Measure, print a table, and write table, figures and chart.

    Sections that were measured in all their rounds replace theirs in bench/figures and bench/README.md; anything
    else goes to --out, or to results in --scratch.
    """
    from bench import machine, photographs, results, table  # noqa: PLC0415 - what is left when nobody asks for --help

    if unknown := set(only or ()) - set(ALL):
        raise typer.BadParameter(f"there is no section {', '.join(sorted(unknown))}; there are: {', '.join(ALL)}")
    apart = [section for section in only or () if section in APART]
    if apart and apart != only:
        raise typer.BadParameter(f"{apart[0]} is measured alone: --only {apart[0]}")
    counts = not (quick or images or out) and rounds >= measure.ROUNDS
    say = partial(typer.echo, err=True)
    scratch.mkdir(parents=True, exist_ok=True)
    bench = measure.Bench(images, scratch, 1 if quick else rounds, quick, say)
    started, lines = time.time(), []
    about = {
        "command": " ".join(["make bench", *([f"ARGS='{shlex.join(sys.argv[1:])}'"] if sys.argv[1:] else [])]),
        "made": time.strftime("%Y-%m-%d", time.gmtime(started)),
        "rounds": bench.rounds,
        "machine": machine.machine(),
        "versions": machine.versions(),
        "photographs": photographs.about(photographs.photographs(images, scratch, quick=quick)),
    }
    for section in only or SECTIONS:
        say(f"{section} …")
        for line in import_module(f"bench.{section}").measure(bench):
            say(f"    {table.row(line)}")
            lines.append(replace(line, module=section))
    about["seconds"] = round(time.time() - started)
    typer.echo(table.markdown(lines))
    if counts and only and not apart:
        lines, about = results.together(SECTIONS, lines, about)
    folder = results.FOLDER / apart[0] if apart else results.FOLDER
    out = out or (folder if counts else scratch / "results")
    results.write(out, lines, about)
    if counts:
        readme = results.README.read_text(encoding="utf-8")
        told = results.retell(readme, lines, about, apart[0] if apart else "")
        results.README.write_text(told, encoding="utf-8")
    say(f"written to {out}{' and bench/README.md' if counts else ''}")


if __name__ == "__main__":
    if not measure.ENVIRONMENT.items() <= os.environ.items():  # libraries and glibc read it when they are loaded
        os.execve(sys.executable, sys.orig_argv, os.environ | measure.ENVIRONMENT)
    typer.run(main)
