"""One process of fuzzing: cases in their order, an answer each, until the time is up or a case ends it."""

from __future__ import annotations

import logging
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS

CURRENT = "current"  # holds the number of the case that is under way
MEMORY = 6 << 30  # bytes of address space: what asks for more, of files of some kilobytes, is a finding
FALSE = ("false rejection (truncated)", "false rejection (undecodable)")
DOUBTS = frozenset({"accepted where both others reject", *FALSE})


def _random(target: str, seed: int, number: int) -> Random:
    return Random(f"{target} {seed} {number}")


def given(target: str, seed: int, number: int) -> bytes:
    """The input of a case."""
    return mutated(list(TARGETS[target].seeds().values()), _random(target, seed, number))


def case(target: str, seed: int, number: int) -> str:
    """What a target answers to a case. Raises what it raises."""
    random = _random(target, seed, number)
    data = mutated(list(TARGETS[target].seeds().values()), random)
    return TARGETS[target].answer(data, random)


def run(target: str, seed: int, first: int, seconds: float, current: Path) -> None:
    """Cases until the time is up; a line each: number, kind, what."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    end = time.monotonic() + seconds
    number = first
    while time.monotonic() < end:
        current.write_text(str(number))
        try:
            kind, what = "answer", case(target, seed, number)
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            where = traceback.extract_tb(error.__traceback__)[-1]
            words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            kind, what = "finding", f"{words} ({Path(where.filename).name}:{where.lineno})"
        sys.stdout.write(f"{number}\t{kind}\t{what}\n")
        sys.stdout.flush()
        number += 1


def main() -> None:
    """What the parent's command line says."""
    name, seed, first, seconds, current = sys.argv[1:]
    run(name, int(seed), int(first), float(seconds), Path(current))


if __name__ == "__main__":
    main()
