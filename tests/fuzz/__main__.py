"""``make fuzz MINUTES=5``: what strangers send, changed in every way, at everything that reads it.

Each target runs in a process of its own, which may die; whatever ends it, or raises what is not documented, is kept
in ``build/fuzz`` with the number of its case. The same target, seed and number give the same input.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.child import CURRENT, DOUBTS, case, given
from tests.fuzz.targets import TARGETS

KEPT = Path("build/fuzz")
SILENCE = 60.0  # seconds without a word after which a case hangs
PATIENCE = 0.2  # seconds between two looks


@dataclass(slots=True)
class Tally:
    """What came of a target's cases."""

    cases: int = 0
    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """In a line."""
        answers = ", ".join(f"{count} {answer}" for answer, count in self.answers.most_common(6))
        pace = self.cases / self.seconds if self.seconds else 0
        return f"{self.cases} cases, {pace:.0f} a second: {answers or 'no answer'}; {len(self.findings)} findings"


def main() -> int:
    """Fuzz, print a line per target and each finding; 1 where there is one."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: all")
    parser.add_argument("--case", type=int, help="this case of the seed and target alone, here, with its traceback")
    chosen = parser.parse_args()
    names = chosen.target or list(TARGETS)
    if chosen.case is not None:
        for name in names:
            sys.stdout.write(f"{name}: {case(name, chosen.seed, chosen.case)}\n")
        return 0
    found = 0
    for name in names:
        tally = fuzz(name, chosen.seed, chosen.minutes * 60 / len(names))
        found += len(tally.findings)
        sys.stdout.write("\n  ".join([f"{name}: {tally}", *tally.findings]) + "\n")
        sys.stdout.flush()
    return 1 if found else 0


def fuzz(name: str, seed: int, seconds: float, program: Sequence[str] = ("-m", "tests.fuzz.child")) -> Tally:
    """A target's cases until the time is up, in processes that follow each other when one dies."""
    tally = Tally()
    KEPT.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        run_once(name, seed, tally, left, program)
    tally.seconds = time.monotonic() - began
    return tally


def run_once(name: str, seed: int, tally: Tally, seconds: float, program: Sequence[str]) -> None:
    """A target's cases in one process, until it ends."""
    log, current = KEPT / f"{name}.log", KEPT / f"{name}.{CURRENT}"
    current.unlink(missing_ok=True)
    with log.open("w+") as lines:
        command = [sys.executable, *program, name, str(seed), str(tally.cases), str(seconds)]
        process = subprocess.Popen([*command, str(current)], stdout=lines, stderr=subprocess.DEVNULL)
        hung = _hangs(process, current)
        lines.seek(0)
        said = [line.rstrip("\n").split("\t") for line in lines]
    for number, kind, what in (line for line in said if len(line) == 3):
        tally.cases = int(number) + 1
        tally.answers[what if kind == "answer" else kind] += 1
        if kind == "finding" or what in DOUBTS:
            _keep(name, seed, int(number), what, tally)
    if process.returncode:
        why = "hangs" if hung else f"its process ended with {process.returncode}"
        _keep(name, seed, tally.cases, why, tally)
        tally.cases += 1


def _hangs(process: subprocess.Popen[bytes], current: Path) -> bool:
    """Wait for the end of a process; kill it where it says nothing for too long."""
    began = time.time()
    while process.poll() is None:
        time.sleep(PATIENCE)
        last = current.stat().st_mtime if current.exists() else began
        if time.time() - max(last, began) > SILENCE:
            process.kill()
            process.wait()
            return True
    return False


def _keep(name: str, seed: int, number: int, what: str, tally: Tally) -> None:
    place = KEPT / f"{name}-{seed}-{number}"
    place.write_bytes(given(name, seed, number))
    told = f"case {number} of --target {name} --seed {seed}: {what} ({place})"
    if what in DOUBTS:
        place.with_suffix(".doubt").write_text(told + "\n")
    else:
        tally.findings.append(told)


if __name__ == "__main__":
    sys.exit(main())
