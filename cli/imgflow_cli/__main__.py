"""The command line: arguments in, exit code out; every error said once, in words."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from imgflow_cli.app import group
from imgflow_cli.faults import debugging, show, told
from imgflow_cli.output import BROKEN_PIPE, ReaderGoneError
from imgflow_workflows.faults import ExitCode, ImgflowError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    if arguments is None:
        signal.signal(signal.SIGTERM, _interrupt)
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # a store tries again by itself and says when it gives up
    argv = list(sys.argv[1:] if arguments is None else arguments)
    if argv == ["--version"]:
        argv = ["version"]
    try:
        code = group().main(argv, prog_name="imgflow", standalone_mode=False)
    except typer.TyperException as error:
        if not argv:  # no arguments at all: the message is the help
            sys.stderr.write(error.format_message() + "\n")
            return ExitCode.USAGE
        message = error.format_message().replace(": Value error, ", ": ")  # pydantic's words for a wrong choice
        return _fail(ImgflowError(message, _usage(error)), argv)
    except ReaderGoneError:
        return BROKEN_PIPE
    except Exception as error:
        if debugging():
            raise
        return _fail(told(error), argv)
    return int(code or 0)


def _interrupt(*_: object) -> NoReturn:
    """Whoever ends a command politely gets what Ctrl-C gets: nothing lost, and a word on how to go on."""
    raise KeyboardInterrupt


def _fail(error: ImgflowError, argv: Sequence[str]) -> int:
    show(error, as_json=_wants_json(argv))
    return error.code


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"`{context.command_path} --help` shows how" if context else ""


def _wants_json(argv: Sequence[str]) -> bool:
    """Whether JSON was asked for, also where the arguments could not be parsed."""
    joined = " ".join(argv)
    return any(f"{flag}json" in joined for flag in ("-o", "-o ", "-o=", "--output ", "--output="))


if __name__ == "__main__":
    sys.exit(main())
