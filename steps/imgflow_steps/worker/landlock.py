"""Landlock: a process gives up files and ports for good, without a right of its own and for all that it starts.

The interface is the kernel's, see https://docs.kernel.org/userspace-api/landlock.html; glibc has no functions for it.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

CREATE, ADD, RESTRICT = 444, 445, 446  # system calls, the same on every processor
VERSION = 1  # flag of CREATE that asks for the newest version
BENEATH, PORT = 1, 2  # kinds of rule
NO_NEW_PRIVS = 38  # of prctl

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REFER, TRUNCATE = 1, 2, 4, 8, 1 << 13, 1 << 14
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}  # on files, from that version on
BIND, CONNECT = 1, 2  # of TCP, from version 4 on
ABSTRACT, SIGNAL = 1, 2  # sockets without a path and signals to others, from version 6 on
READ = READ_FILE | READ_DIR | EXECUTE  # a library is mapped, which newer kernels count as executing
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | 1 << 15


class _Rules(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


class _Port(ctypes.Structure):
    _fields_ = (("rights", ctypes.c_uint64), ("port", ctypes.c_uint64))


def version() -> int:
    """The kernel's version of it; 0 where it has none, or whoever started this process keeps it from being used."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_library().syscall(CREATE, None, ctypes.c_size_t(0), VERSION)))


def restrict(read: Iterable[str], write: Iterable[str], ports: Iterable[int]) -> int:
    """From now on this thread, and what it starts, reads and writes only below these paths and speaks to these ports.

    Gives the version that does so, 0 where nothing does. A path that is not there gives no right.
    """
    if not (newest := version()):
        return 0
    files = next(rights for since, rights in sorted(RIGHTS.items(), reverse=True) if newest >= since)
    net = BIND | CONNECT if newest >= 4 else 0  # noqa: PLR2004 - see above
    scoped = ABSTRACT | SIGNAL if newest >= 6 else 0  # noqa: PLR2004 - likewise
    rules = _Rules(files, net, scoped)
    libc = _library()
    ruleset = libc.syscall(CREATE, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), 0)
    if ruleset < 0:
        return 0
    try:
        for path in read:
            _allow(ruleset, path, READ & files)
        for path in write:
            _allow(ruleset, path, files)
        for port in ports if net else ():
            libc.syscall(ADD, ruleset, PORT, ctypes.byref(_Port(CONNECT, port)), 0)
        libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
        return newest if libc.syscall(RESTRICT, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    with suppress(OSError):
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(folder).st_mode):
                rights &= OF_FILES
            _library().syscall(ADD, ruleset, BENEATH, ctypes.byref(_Beneath(rights, folder)), 0)
        finally:
            os.close(folder)


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def around(secret: Iterable[Path], top: Path = Path("/")) -> list[str]:
    """Paths that cover all below ``top`` but the secret ones: a right cannot be taken back from a folder below.

    No link is among them, which may lead to what is secret; what it leads to is covered where it is.
    """
    inside = [path.resolve() for path in secret if path.resolve().is_relative_to(top)]
    if top in inside:
        return []
    if not inside:
        return [os.fspath(top)]
    found: list[str] = []
    with suppress(OSError):
        for path in sorted(top.iterdir()):
            if path in inside or path.is_symlink():
                continue
            found += around(inside, path) if any(one.is_relative_to(path) for one in inside) else [os.fspath(path)]
    return found
