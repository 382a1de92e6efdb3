"""System calls that computing on pictures never needs, refused by the kernel: to start programs, to reach others.

A filter (seccomp) sees the number of a call and its arguments as numbers. What is refused fails with EPERM, as it would
for want of a right, and the process goes on.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import socket
import struct
import sys

NO_NEW_PRIVS, SECCOMP, ASKED = 38, 22, 21  # of prctl
FILTER = 2  # of SECCOMP: with a program
LOAD, EQUAL, BITS, RETURN = 0x20, 0x15, 0x45, 0x06  # instructions: load a word, jump if equal, jump if bits are set
NUMBER, MACHINE, ARGUMENT = 0, 4, 16  # offsets of words that the program may load
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
OTHER_TABLE = 0x40000000  # a bit of numbers on x86-64 that call by another table

# By machine: the kernel's name of it, `socket`, and all that is refused. From the kernel's tables of system calls.
NEWER = (425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438, 442)  # io_uring, mounts, other processes' descriptors
TABLES = {
    "x86_64": (
        0xC000003E,
        41,
        # execve, execveat, ptrace, process_vm_readv and _writev, mount, umount2, pivot_root, chroot, unshare, setns,
        # bpf, keyctl, add_key, request_key, perf_event_open, userfaultfd, open_by_handle_at, init_module, finit_module,
        # kexec_load, kexec_file_load
        (59, 322, 101, 310, 311, 165, 166, 155, 161, 272, 308, 321, 250, 248, 249, 298, 323, 304, 175, 313, 246, 320),
    ),
    "aarch64": (
        0xC00000B7,
        198,
        (221, 281, 117, 270, 271, 40, 39, 41, 51, 97, 268, 280, 219, 217, 218, 241, 282, 265, 105, 273, 104, 294),
    ),
}
WEB = (socket.AF_INET, socket.AF_INET6, 16)  # and what getaddrinfo asks for this machine's addresses: AF_NETLINK


def is_available() -> bool:
    """Whether there is a filter for this machine, and its kernel takes one."""
    if sys.platform != "linux" or platform.machine() not in TABLES:
        return False
    # Asked for its mode a kernel without filters fails; of one that has them the answer is this process's own.
    return bool(ctypes.CDLL(None, use_errno=True).prctl(ASKED, 0, 0, 0, 0) >= 0)


def refuse(families: tuple[int, ...] = ()) -> bool:
    """From now on no thread of this process makes such a call, nor a socket of a family that is not named.

    Gives whether the kernel sees to it. Nothing lifts it again.
    """
    table = TABLES.get(platform.machine())
    if sys.platform != "linux" or table is None:
        return False
    program = _program(*table, families)
    libc = ctypes.CDLL(None, use_errno=True)
    kept = ctypes.create_string_buffer(program, len(program))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(kept)))
    libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(libc.prctl(SECCOMP, FILTER, ctypes.c_void_p(ctypes.addressof(described)), 0, 0) == 0)


def _program(machine: int, of_socket: int, refused: tuple[int, ...], families: tuple[int, ...]) -> bytes:
    """Each instruction: code, steps to jump where it holds and where it does not, a constant."""
    allow, refuse = (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)
    said = [(LOAD, 0, 0, MACHINE), (EQUAL, 1, 0, machine), refuse, (LOAD, 0, 0, NUMBER), (BITS, 0, 1, OTHER_TABLE)]
    said.append(refuse)
    for number in (*refused, *NEWER):
        said += [(EQUAL, 0, 1, number), refuse]
    said += [(EQUAL, 1, 0, of_socket), allow, (LOAD, 0, 0, ARGUMENT)]
    for family in families:
        said += [(EQUAL, 0, 1, family), allow]
    said.append(refuse)
    return b"".join(struct.pack("HBBI", *one) for one in said)
