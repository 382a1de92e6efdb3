"""What can go wrong when somebody asks, in words: one message, one hint, one exit code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


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
    from imgflow_steps.contract import BadParametersError  # noqa: PLC0415 - only when something went wrong
    from imgflow_steps.store import NotFoundError, StoreError  # noqa: PLC0415

    match error:
        case ImgflowError():
            return error
        case BadParametersError() | NotFoundError():
            return ImgflowError(str(error))
        case StoreError():
            return ImgflowError(str(error), code=ExitCode.UNREACHABLE)
        case _:
            return None
