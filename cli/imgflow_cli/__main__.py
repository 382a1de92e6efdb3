"""The command line: arguments in, exit code out; every error said once, in words."""

from __future__ import annotations

import logging
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import NoReturn

import typer

from imgflow_cli.app import COMMANDS, group
from imgflow_cli.faults import explained, show, trace
from imgflow_cli.output import BROKEN_PIPE, ReaderGoneError
from imgflow_cli.streams import guarded, occupy, why_lost
from imgflow_steps.contract.redaction import conceal_users
from imgflow_workflows.errors import ExitCode, ImgflowError

NEXT = {  # what to do where an error does not say so
    ExitCode.DONE: "",
    ExitCode.FAILED: "`imgflow doctor` looks for the cause",
    ExitCode.USAGE: "`{command} --help` shows how",
    ExitCode.TOO_MANY_REJECTED: "`imgflow report @latest --open` shows them",
    ExitCode.UNREACHABLE: "`imgflow doctor`, with the same flags, looks for the cause",
    ExitCode.INTERRUPTED: "nothing is lost; run the same command again to resume",
}


MAY_BE_EMPTY = {"--kube-context"}  # is the current one then


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    if arguments is None:
        occupy()
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # a tenth of a short command
        signal.signal(signal.SIGTERM, _interrupt)
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # a store tries again by itself and says when it gives up
    argv = list(sys.argv[1:] if arguments is None else arguments)
    conceal_users(argv)
    with guarded() as (out, err):
        code = _run(["version"] if argv == ["--version"] else argv)
        if out.lost and out.forgiving and not isinstance(out.lost, BrokenPipeError):
            err.write(f"Warning: {why_lost(out.lost)}; the exit code says how the work ended\n")
    if arguments is None and _opens():
        os._exit(code)  # a library works on in that thread, and aborts where Python ends it
    return code


def _opens() -> bool:
    """Whether a step that was given up is still being opened; most commands never load what opens them."""
    patience = sys.modules.get("imgflow_workflows.submit.patience")
    return patience is not None and any(thread.name == patience.OPENING for thread in threading.enumerate())


def _run(argv: list[str]) -> int:
    try:
        _check_none_empty(argv)
        code = group().main(argv, prog_name="imgflow", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        if not argv:  # no arguments at all: the message is the help
            sys.stderr.write(error.format_message() + "\n")
            return ExitCode.USAGE
        message = error.format_message().replace(": Value error, ", ": ")  # pydantic's words for a wrong choice
        message = re.sub(r"\s*\n\t", " ", message)  # typer's list of choices
        return _fail(ImgflowError(message, _usage(error)), argv)
    except ReaderGoneError:
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said in words
        trace(error)
        return _fail(explained(error), argv)
    return int(code or 0)


def _check_none_empty(argv: Sequence[str]) -> None:
    """Raises ImgflowError where a flag or an argument is given as "", which would count as not given.

    A shell makes that of a variable that is not set, and then another source, or every image, would be taken.
    """
    for before, word in pairwise(["", *argv]):
        flag = before if not word else word.removesuffix("=")
        if (word and not re.fullmatch(r"--[a-z-]+=", word)) or flag in MAY_BE_EMPTY:
            continue
        what = flag if flag.startswith("-") else "an argument"
        raise ImgflowError(
            f"{what} is given, but empty",
            "give it a value, or omit it; a variable of the shell that is not set is empty",
        )


def _interrupt(*_: object) -> NoReturn:
    """Whoever ends a command politely gets what Ctrl-C gets: nothing lost, and a word on how to go on."""
    raise KeyboardInterrupt


def _fail(error: ImgflowError, argv: Sequence[str]) -> int:
    error.hint = _placed(error.hint, argv) or NEXT[error.code].format(command=" ".join(_named(argv)))
    show(error, as_json=_wants_json(argv))
    return error.code


def _placed(hint: str, argv: Sequence[str]) -> str:
    """The hint, whose commands look where this one did: at the same store and in the same namespace."""
    from imgflow_workflows.settings import PLACES, flag  # noqa: PLC0415 - loads pydantic, for an error only

    flags = [flag(name) for name in ("context", *PLACES)] + ["-n"]
    words = [word for pair in pairwise(argv) if pair[0] in flags for word in pair]
    words += [word for word in argv if word.partition("=")[0] in flags and "=" in word]
    if not words:
        return hint
    return re.sub(r"`imgflow (?!-|\S+ --help)", lambda _: f"`imgflow {shlex.join(words)} ", hint)


def _named(argv: Sequence[str]) -> list[str]:
    """``imgflow`` and the command that was given."""
    return ["imgflow", *[word for word in argv if word in COMMANDS][:1]]


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"`{context.command_path} --help` shows how" if context else ""


def _wants_json(argv: Sequence[str]) -> bool:
    """Whether JSON was asked for, also where the arguments could not be parsed."""
    return bool(re.search(r"(^|\s)(-o|--output(?=[ =]))[ =]?json(\s|$)", " ".join(argv)))


if __name__ == "__main__":
    sys.exit(main())
