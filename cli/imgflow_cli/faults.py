"""What can go wrong, in words: one message, one hint, one exit code; never a traceback."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from enum import IntEnum

from imgflow_cli.output import printable


class ExitCode(IntEnum):
    """How the command line ends; ``MEANING`` says it in words."""

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
class CliError(Exception):
    """Ends a command: what happened and to what, then what to do next."""

    message: str
    hint: str = ""
    code: ExitCode = ExitCode.USAGE

    def __str__(self) -> str:
        """The message alone."""
        return self.message


def translate(error: Exception) -> CliError:
    """Any exception as what a person is told; IMGFLOW_DEBUG=1 lets it through instead."""
    from imgflow_steps.contract import BadParametersError  # noqa: PLC0415 - only when something went wrong
    from imgflow_steps.store import NotFoundError, StoreError  # noqa: PLC0415

    match error:
        case CliError():
            return error
        case BadParametersError() | NotFoundError():
            return CliError(str(error))
        case StoreError():
            return CliError(str(error), code=ExitCode.UNREACHABLE)
        case _:
            message = f"unexpected {type(error).__name__}: {error}"
            return CliError(message, "set IMGFLOW_DEBUG=1 to see where", ExitCode.FAILED)


def show(error: CliError, *, as_json: bool) -> None:
    """The error where people read, or as the one JSON document that was asked for."""
    if as_json:
        body = {"code": error.code.name.lower(), "exit": int(error.code), "message": error.message, "hint": error.hint}
        sys.stdout.write(json.dumps({"error": body}) + "\n")
        return
    sys.stderr.write(f"Error: {printable(error.message, lines=True)}\n")
    if error.hint:
        sys.stderr.write(f"{printable(error.hint, lines=True)}\n")


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get("IMGFLOW_DEBUG", "") not in {"", "0"}
