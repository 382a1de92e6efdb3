"""Memory of bodies is kept from one request to the next: fresh pages cost a tenth of the processor time."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

# As computing processes have it (imgflow_steps.worker.processes), which read it from their environment.
OPTIONS = {
    -3: 32 << 20,  # M_MMAP_THRESHOLD, in bytes
    -1: 128 << 20,  # M_TRIM_THRESHOLD
    -8: 1,  # M_ARENA_MAX: what one thread frees is another's
}


def keep() -> None:
    """Ask glibc to; elsewhere nothing happens."""
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in OPTIONS.items():
            mallopt(option, value)
