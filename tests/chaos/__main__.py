"""``make chaos SEEDS=100``: what may go wrong goes wrong at random moments, and one checker says what must hold.

A seed tells what happens, to what and when; the same seed tells the same, and a line repeats it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import servers
from tests.brokers import broker_binary
from tests.chaos import requests, runs
from tests.conftest import has_containers, has_minio

PLACES = ("local", "docker", "service")
NEEDS_STORE = {"store", "storm"}


def main() -> int:
    """A line per seed; 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many, for each place")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--place", choices=PLACES, action="append", help="default: all that are there")
    chosen = parser.parse_args()
    harmed = 0
    for place in chosen.place or PLACES:
        with TemporaryDirectory(prefix="chaos-") as folder, opened(place, Path(folder)) as disturb:
            began, tally = time.monotonic(), Counter[str]()
            for seed in range(chosen.first, chosen.first + chosen.seeds):
                what, wrong = disturb(seed)
                tally[what.split()[1]] += 1
                harmed += bool(wrong)
                holds = "" if "NOT TRIED" in what else ": all holds"
                sys.stdout.write(f"{place} {seed}: {what}{': ' + '; '.join(wrong) if wrong else holds}\n")
                if wrong:
                    sys.stdout.write(f"  repeat: make chaos SEEDS=1 ARGS='--place {place} --first {seed}'\n")
                sys.stdout.flush()
            told = ", ".join(f"{count} {fault}" for fault, count in tally.items())
            sys.stdout.write(f"{place}: {told}; {time.monotonic() - began:.0f} s\n")
    sys.stdout.write(f"{harmed} seeds with something that did not hold\n")
    return 1 if harmed else 0


@contextmanager
def opened(place: str, folder: Path) -> Iterator[Callable[[int], tuple[str, list[str]]]]:
    """What disturbs a place at a seed, and tells what happened and what did not hold."""
    with ExitStack() as stack:
        minio = stack.enter_context(servers.minio(folder / "minio")) if place != "service" and has_minio() else None
        disturbed = runs.Runs(folder, minio)

        def served(seed: int) -> tuple[str, list[str]]:
            at = requests.point(seed)
            if at.fault in requests.BROKERED and not broker_binary():
                return f"{at}: NOT TRIED, there is no redis-server on PATH", []
            (room := folder / f"service-{seed}").mkdir()
            return str(at), requests.disturb(at, room)

        def disturb(seed: int) -> tuple[str, list[str]]:
            one = runs.point(place, seed)
            if place == "docker" and not has_containers():
                return f"{one}: NOT TRIED, there are no container images; make containers", []
            if one.fault in NEEDS_STORE and minio is None:
                return f"{one}: NOT TRIED, there is no minio on PATH", []
            return disturbed.run(one)

        yield served if place == "service" else disturb


if __name__ == "__main__":
    sys.exit(main())
