"""What a machine or container holds: how many computing processes, and how much memory these have held."""

from __future__ import annotations

import math
import multiprocessing
import os
import re
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")  # version 2, version 1
COORDINATOR = 256 << 20  # bytes for the process that hands out work, and for libraries that all of them share
CPUS = Path("/sys/fs/cgroup/cpu.max"), Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")  # likewise
PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
EACH = 2  # processes for a core, at most: one waits for a disk or a store while the other computes
LEAST = 256 << 20  # bytes below which a computing process cannot even begin


def processes(wanted: int, each: int, container: int | None) -> tuple[int, int]:
    """How many processes, and the bytes that each may have: all together stay below what the container may have.

    Fewer processes are better than smaller ones, so that an image has as much memory here as elsewhere. Where not even
    one fits, it has what there is: then an image that needs more costs itself and not the container.
    """
    if container is None:
        return wanted, each
    room = container - COORDINATOR
    return max(1, min(wanted, room // each)), min(each, max(LEAST, room))


def sensible(wanted: int) -> tuple[int, str]:
    """How many of this many processes this machine, or this container, has a use for, and why not more: "" for all."""
    cores, memory = usable_cores(), container_memory() or machine_memory()
    bounds = {EACH * cores: f"{EACH} for each of {cores} {'core' if cores == 1 else 'cores'}"}
    if memory:
        bounds[max(1, memory // LEAST)] = f"as many as fit into {memory / (1 << 30):.1f} GiB of memory"
    most = min(bounds)
    return (wanted, "") if wanted <= most else (most, bounds[most])


def usable_cores() -> int:
    """Cores that this process may use; a container may have been given fewer than the machine has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = []
    with suppress(OSError, ValueError, IndexError):
        quota, period = CPUS[0].read_text().split()
        quotas.append(int(quota) / int(period))
    with suppress(OSError, ValueError):
        quotas.append(int(CPUS[1].read_text()) / int(PERIOD.read_text()))
    return max(1, min([cores, *(math.ceil(quota) for quota in quotas if quota > 0)]))


def machine_memory() -> int | None:
    """The memory of this machine, in bytes; None where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def container_memory() -> int | None:
    """The memory that this container may have, in bytes; None without a limit."""
    for path in CGROUP:
        try:
            limit = int(path.read_text())
        except (OSError, ValueError):  # not this version, or "max"
            continue
        return limit if limit < 1 << 60 else None  # version 1 says "no limit" with a number
    return None


def peak() -> int:
    """Bytes that this process and each of its living children held at most, added up; 0 where Linux does not tell.

    Peaks at different times count as one, and what processes share counts twice: it is an upper bound.
    """
    pids = ["self", *(str(child.pid) for child in multiprocessing.active_children())]
    return sum(map(_high_water, pids))


def _high_water(pid: str) -> int:
    with suppress(OSError):  # it ended meanwhile, or this is no Linux
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    return 0
