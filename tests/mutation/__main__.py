"""``make mutation ONLY=keys``: whether tests notice when the code that they are about is changed in one place.

Each mutant is tried in a process of its own, in which the module is replaced as it is imported: no file is changed.
A mutant that no test notices is a survivor; its line is printed.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.util
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from tests.mutation.mutants import Mutant, mutants

SLOWER = 5  # than all tests took, and a mutant hangs
LEAST = 10  # seconds of processor time that a mutant may take in any case
WAITS = 20  # times its processor time, for a mutant that waits or a machine that is busy
HANGS = -1
PRELOADED = ("numpy", "PIL.Image", "pydantic", "pebble", "minio", "cv2", "pillow_heif", "yaml")


@dataclass(frozen=True)
class Subject:
    """Modules of one purpose, each with the tests that are about it."""

    name: str
    modules: tuple[tuple[str, tuple[str, ...]], ...]


SUBJECTS = [
    Subject("keys", (("imgflow_steps.records.keys", ("tests/steps/records/test_keys.py",)),)),
    Subject(
        "plan",
        (
            ("imgflow_steps.pipeline.decode_plan", ("tests/steps/pipeline/test_decode_plan.py",)),
            ("imgflow_workflows.retention.plan", ("tests/workflows/retention/test_plan.py",)),
        ),
    ),
    Subject("rows", (("imgflow_steps.records.rows", ("tests/steps/records/test_rows.py",)),)),
    Subject("retry", (("imgflow_workflows.engines.jobs", ("tests/workflows/engines/test_jobs.py",)),)),
    Subject("naming", (("imgflow_steps.store.names", ("tests/steps/store/test_names.py",)),)),
    Subject("redaction", (("imgflow_steps.contract.redaction", ("tests/steps/contract/test_redaction.py",)),)),
    Subject("boxes", (("imgflow_steps.records.boxes", ("tests/steps/records/test_boxes.py",)),)),
    Subject(
        "admission",
        (
            ("imgflow_steps.records.admission", ("tests/steps/records/test_admission.py",)),
            ("imgflow_service.api.admission", ("tests/service/test_places.py",)),
        ),
    ),
]


def main() -> int:
    """A line per subject and per survivor; 1 where too many survive."""
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument("--only", choices=[one.name for one in SUBJECTS], action="append", help="default: all")
    parser.add_argument("--most", type=int, default=0, help="mutants of a module, drawn by chance; default: all")
    parser.add_argument("--least", type=float, default=85.0, help="percent that must be noticed")
    chosen = parser.parse_args()
    for name in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)
    fewer = False
    for subject in SUBJECTS:
        if chosen.only and subject.name not in chosen.only:
            continue
        tried, survivors, seconds = 0, list[str](), time.monotonic()
        for module, tests in subject.modules:
            count, left = judge(module, tests, chosen.most)
            tried += count
            survivors += [f"{module}, {mutant}" for mutant in left]
        share = 100 * (tried - len(survivors)) / tried
        fewer |= share < chosen.least
        told = f"{subject.name}: {tried - len(survivors)} of {tried} mutants noticed, {share:.0f} %"
        sys.stdout.write("\n  ".join([f"{told}, {time.monotonic() - seconds:.0f} s", *survivors]) + "\n")
        sys.stdout.flush()
    return 1 if fewer else 0


def judge(module: str, tests: Sequence[str], most: int = 0) -> tuple[int, list[Mutant]]:
    """How many mutants of a module were tried, and which of them the tests did not notice."""
    spec = importlib.util.find_spec(module)
    assert spec
    assert spec.origin
    path = Path(spec.origin)
    source = path.read_text(encoding="utf-8")
    before = _computed()
    assert attempt(module, path, ast.parse(source), tests, 600) == 0, f"{tests} fail without a mutant"
    patience = max(LEAST, round(SLOWER * (_computed() - before)))
    found = list(mutants(source))
    if most and len(found) > most:
        found = random.Random(most).sample(found, most)
    left = [one for one in found if attempt(module, path, one.tree, tests, patience) == 0]
    return len(found), sorted(left, key=lambda one: one.line)


def _computed() -> float:
    """Processor time of all children so far, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def attempt(module: str, path: Path, tree: ast.Module, tests: Sequence[str], patience: int) -> int:
    """How pytest ends where a module has another content; ``HANGS`` where it does not.

    ``patience`` is in seconds of processor time.
    """
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (patience, patience))
        os._exit(_tested(module, path, tree, tests))
    until = time.monotonic() + WAITS * patience
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return HANGS


def _tested(module: str, path: Path, tree: ast.Module, tests: Sequence[str]) -> int:
    """Run tests in this process, which ends afterwards."""
    for name in [name for name in sys.modules if name.startswith(("imgflow", "tests"))]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Changed(module, path, tree))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder}/pytest"]
        try:
            return int(pytest.main([*options, *tests]))
        except BaseException:  # noqa: BLE001 - a mutant may raise what it likes: it is noticed
            return 1


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module another content."""

    def __init__(self, module: str, path: Path, tree: ast.Module) -> None:
        self._module, self._path, self._tree = module, path, tree

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name != self._module:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=self)

    def create_module(self, _spec: ModuleSpec) -> None:
        """As usual."""

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._tree, str(self._path), "exec"), vars(module))


if __name__ == "__main__":
    sys.exit(main())
