"""``python -m bench``: how fast imgflow is beside what others would use, and whether its goals are met."""

from __future__ import annotations

import json
import os
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from bench import measure

# A section is a module with ``measure(bench)``, which gives lines; loaded when it is asked for.
SECTIONS = ("single", "folder", "infer", "choice")

ROOT = Path(__file__).parents[1]
SCRATCH = ROOT / "build" / "bench"
RESULTS = Path(__file__).with_name("results")


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Sections: {', '.join(SECTIONS)}; repeatable.")] = None,
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
    out: Annotated[Path | None, typer.Option(help="Where the results go, instead of bench/results.")] = None,
) -> None:
    """Measure, print a table, and write table, figures and chart.

    Without --out, only a whole run replaces the committed results; others go to build/bench/results.
    """
    os.environ.update(measure.ONE_THREAD)
    from bench import machine, table  # noqa: PLC0415 - loads Pillow, after the number of threads is set

    if unknown := set(only or ()) - set(SECTIONS):
        raise typer.BadParameter(f"there is no section {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    whole = not only and not quick and images is None and rounds >= measure.ROUNDS
    out = out or (RESULTS if whole else SCRATCH / "results")
    say = partial(typer.echo, err=True)
    bench = measure.Bench(images, SCRATCH, 1 if quick else rounds, quick, say)
    started, lines = time.time(), []
    for section in only or SECTIONS:
        say(f"{section} …")
        lines += list(import_module(f"bench.{section}").measure(bench))
    typer.echo(table.markdown(lines))
    out.mkdir(parents=True, exist_ok=True)
    about = {"made": time.strftime("%Y-%m-%d", time.gmtime(started)), "seconds": round(time.time() - started)}
    document = table.document(lines, **about, machine=machine.machine(), versions=machine.versions())
    (out / "results.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "results.md").write_text(table.markdown(lines), encoding="utf-8")
    say(f"written to {out}")


if __name__ == "__main__":
    typer.run(main)
