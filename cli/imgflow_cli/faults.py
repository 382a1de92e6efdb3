"""How the command line says what went wrong: one message, one hint; never a traceback."""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import suppress

from imgflow_cli.output import ReaderGoneError, emit, printable, room, wrapped
from imgflow_steps.contract.redaction import redacted
from imgflow_workflows.errors import ExitCode, ImgflowError, translate


def explained(error: Exception) -> ImgflowError:
    """Any exception as what a person is told."""
    unforeseen = f"unexpected {type(error).__name__}: {error}"
    return translate(error) or ImgflowError(unforeseen, "set IMGFLOW_DEBUG=1 to see where", ExitCode.FAILED)


def show(error: ImgflowError, *, as_json: bool) -> None:
    """The error where people read, or as the one JSON document that was asked for, where it can be written."""
    message, hint = redacted(error.message), redacted(error.hint)
    if as_json and not getattr(sys.stdout, "lost", None):
        from imgflow_workflows.runs.document import ErrorBody, ErrorDocument  # noqa: PLC0415 - only of what went wrong

        body = ErrorBody(code=error.code.name.lower(), exit=int(error.code), message=message, hint=hint)
        with suppress(ImgflowError, ReaderGoneError):
            emit(json.dumps(ErrorDocument(error=body).model_dump()))
            return
    for text in filter(None, (f"Error: {message}", hint)):
        sys.stderr.write(f"{wrapped(printable(text, lines=True), room(sys.stderr))}\n")


def trace(error: Exception) -> None:
    """Where an error came from, on standard error, if somebody debugs; nothing else changes by that."""
    if os.environ.get("IMGFLOW_DEBUG", "") not in {"", "0"}:
        text = "".join(traceback.format_exception(error))
        sys.stderr.write(printable(redacted(text), lines=True))
