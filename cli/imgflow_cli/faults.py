"""How the command line says what went wrong: one message, one hint; never a traceback."""

from __future__ import annotations

import json
import os
import sys

from imgflow_cli.output import printable
from imgflow_workflows.faults import ExitCode, ImgflowError, translate


def told(error: Exception) -> ImgflowError:
    """Any exception as what a person is told; IMGFLOW_DEBUG=1 lets it through instead."""
    unforeseen = f"unexpected {type(error).__name__}: {error}"
    return translate(error) or ImgflowError(unforeseen, "set IMGFLOW_DEBUG=1 to see where", ExitCode.FAILED)


def show(error: ImgflowError, *, as_json: bool) -> None:
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
