"""What a killed process leaves on this machine: files and folders that carry its mark, and go when it is gone."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

MARK = re.compile(r"([0-9a-f]{8})-(\d+)-(\d+)-")  # machine, process, and when that began: numbers are used again
MACHINE = "IMGFLOW_MACHINE"  # of a container: how whoever starts it knows its files
FOLDER = "imgflow-"  # what temporary folders begin with, and names of locks
LOCKS = Path("/dev/shm")  # noqa: S108 - where Linux keeps locks between processes


def mark() -> str:
    """What names of files begin with that this process may leave behind."""
    return _mark(os.getpid())


def dead(name: str) -> bool:
    """Whether the process whose mark a name begins with is certainly gone; never so for one of another machine."""
    found = MARK.match(name)
    if found is None or found[1] != machine():
        return False
    pid, began = int(found[2]), found[3]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass  # somebody else's
    return _began(pid) != began


def of_this_machine(name: str) -> bool:
    """Whether the mark that a name begins with is of a process of this machine, of which ``dead`` knows the end."""
    found = MARK.match(name)
    return found is not None and found[1] == machine()


def sweep(folder: Path, prefix: str = "", *, ended: str = "") -> None:
    """Remove what dead processes left in a folder, below names that begin with ``prefix``; whatever resists stays.

    So does everything go of the machine that has ``ended``, which was a container.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        left = [entry for entry in entries if entry.name.startswith(prefix)]
        for entry in left:
            name = entry.name.removeprefix(prefix)
            if dead(name) or (ended and name.startswith(f"{ended}-")):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with suppress(OSError):
                        Path(entry.path).unlink()


@contextmanager
def temporary() -> Iterator[Path]:
    """A temporary folder that is gone at the end; where the process is killed, the next one removes it."""
    folder = Temporary()
    try:
        yield folder.path
    finally:
        folder.cleanup()


class Temporary:
    """A temporary folder for whoever cannot keep a context open."""

    def __init__(self) -> None:
        above = Path(tempfile.gettempdir())
        _sweep_once(above, FOLDER)
        _sweep_once(LOCKS, f"sem.{FOLDER}")
        self.path = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{mark()}-", dir=above))

    def cleanup(self) -> None:
        """Remove the folder; what another thread still writes to it stays, and goes with the next sweep."""
        shutil.rmtree(self.path, ignore_errors=True)


@lru_cache(maxsize=8)
def machine() -> str:
    """This machine since it was started, or this container: within it, numbers of processes mean the same."""
    if given := os.environ.get(MACHINE):
        return given
    known = [platform.node()]
    with suppress(OSError):  # only Linux has them
        known += [Path("/proc/sys/kernel/random/boot_id").read_text(), f"{Path('/proc/self/ns/pid').readlink()}"]
    return hashlib.sha256("\0".join(known).encode()).hexdigest()[:8]


def machine_of(container: str) -> str:
    """What ``machine`` is to be in a container that this machine starts under that name."""
    return hashlib.sha256(f"{machine()}\0{container}".encode()).hexdigest()[:8]


@lru_cache(maxsize=8)
def _mark(pid: int) -> str:
    return f"{machine()}-{pid}-{_began(pid)}"


def part() -> str:
    """A name for an unfinished file that nobody else has."""
    return f"{mark()}-{uuid4().hex}"


def _began(pid: int) -> str:
    """When a process began, in ticks since the machine did; "0" where that cannot be told, "" of a dead one."""
    with suppress(OSError, IndexError):
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in {"Z", "X"} else numbers[18]  # one that nobody has waited for yet is dead, too
    return "0"


@lru_cache(maxsize=8)
def _sweep_once(folder: Path, prefix: str) -> None:
    sweep(folder, prefix)
