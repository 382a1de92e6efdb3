"""What can go wrong when somebody asks, in words: one message, one hint, one exit code."""

from __future__ import annotations

import errno
import os
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """How a command ends, and what kind of fault an error is; ``MEANING`` says it in words."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    TOO_MANY_REJECTED = 4
    UNREACHABLE = 5
    INTERRUPTED = 130


MEANING = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "wrong usage",
    ExitCode.TOO_MANY_REJECTED: "more images rejected than --max-rejected allows",
    ExitCode.UNREACHABLE: "store or cluster not reachable",
    ExitCode.INTERRUPTED: "interrupted",
}


UNMAPPED = ("failed to map segment", "cannot allocate memory")  # of the loader, for a compiled module
DAMAGED = (
    "was it written by another version of imgflow? If not, restore it from a backup, or delete the run and submit "
    "again; results stay"
)


@dataclass
class ImgflowError(Exception):
    """Ends what was asked for: what happened and to what, then, as ``hint``, what to do next."""

    message: str
    hint: str = ""
    code: ExitCode = ExitCode.USAGE

    def __post_init__(self) -> None:
        """A traceback, such as a notebook's, shows the hint below the message."""
        if self.hint:
            self.add_note(self.hint)

    def __str__(self) -> str:
        """The message alone."""
        return self.message


def translate(error: Exception) -> ImgflowError | None:
    """What steps and stores say, as what a person is told; None for what nobody has foreseen."""
    from pydantic import ValidationError  # noqa: PLC0415 - only when something went wrong

    from imgflow_steps.contract.step import BadParametersError, unreadable  # noqa: PLC0415 - likewise
    from imgflow_steps.store import DamagedError, NotFoundError, StoreError, UnwritableError  # noqa: PLC0415 - likewise

    match error:
        case ImgflowError():
            return error
        case BadParametersError() | NotFoundError():
            return ImgflowError(str(error))
        case UnwritableError():
            return ImgflowError(str(error), "then run the same command again to resume", ExitCode.FAILED)
        case StoreError():
            there = isinstance(error, DamagedError)
            return ImgflowError(str(error), code=ExitCode.FAILED if there else ExitCode.UNREACHABLE)
        case ValidationError(__notes__=[_, *_]):
            return ImgflowError(f"a document in the store is damaged: {unreadable(error)}", DAMAGED, ExitCode.FAILED)
        case _:
            return _of_this_machine(error)


def _of_this_machine(error: Exception) -> ImgflowError | None:
    """What the system refuses, whatever was being done; None for anything else."""
    try:
        Path.cwd()
    except OSError:
        return ImgflowError("the folder in which this was started is gone", "cd to one that is there, and start again")
    lacks = _lacking(error)
    if lacks:
        hint = "give it more (`ulimit -a` shows the limits of this shell), or ask for fewer --workers"
        return ImgflowError(f"the system gives imgflow no more {lacks}", hint, ExitCode.FAILED)
    if isinstance(error, BrokenExecutor):
        why = error.__cause__ or error or "no reason was given"
        hint = "`imgflow doctor` looks at this machine"
        return ImgflowError(f"processes that compute could not be started: {why}", hint, ExitCode.FAILED)
    return _of_a_file(error) if isinstance(error, OSError) and error.strerror else None


def _of_a_file(error: OSError) -> ImgflowError | None:
    from imgflow_steps.store.arriving import FULL  # noqa: PLC0415 - only when something went wrong

    named = error.filename
    what = os.fsdecode(named) if isinstance(named, (str, bytes)) else str(named)
    if error.errno in FULL:  # a write to an open file names none
        where = f"{what}: " if named else "a file of this machine cannot be written: "
        hint = "free some space there, or raise the quota or `ulimit -f`; then run the same command again"
        return ImgflowError(f"{where}{error.strerror}", hint, ExitCode.FAILED)
    if named:
        return ImgflowError(f"{what}: {error.strerror}", "see whether it is there and may be used", ExitCode.FAILED)
    return None


def _lacking(error: Exception) -> str:
    """What the system gives no more of, "" where the error is another one."""
    match error:
        case MemoryError():
            return "memory"
        case ImportError() if any(words in str(error).casefold() for words in UNMAPPED):
            return "memory"
        case RuntimeError() if "start new thread" in str(error):
            return "memory or threads"
        case OSError(errno=errno.ENOMEM | errno.EAGAIN):
            return "memory or processes"
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return "open files"
        case _:
            return ""
