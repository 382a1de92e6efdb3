"""What the superuser may beyond files: given up by whoever decodes, where imgflow is started as that user."""

from __future__ import annotations

import ctypes
import struct
import sys

VERSION = 0x20080522  # of the kernel's interface: two words of 32 bits for each set
OF_FILES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: photographs may belong to anybody


def drop() -> None:
    """From now on this thread, and what it starts, has no privilege but to open files: not to look into processes."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    who = struct.pack("Ii", VERSION, 0)
    held = ctypes.create_string_buffer(24)
    if libc.capget(who, held) != 0:
        return
    effective, permitted, _, _, _, _ = struct.unpack("6I", held.raw)
    libc.capset(who, struct.pack("6I", effective & OF_FILES, permitted & OF_FILES, 0, 0, 0, 0))
