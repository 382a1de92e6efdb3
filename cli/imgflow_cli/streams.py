"""The only way out to a terminal, a pipe or a file: standard output and standard error while a command runs.

What passes holds no secret, and on a terminal nothing that it would obey. A character that the encoding lacks is spelt
out. Standard error that nobody can read is no reason to stop. Standard output that cannot be written ends a command
whose whole work is to print; any other goes on, says so at its end, and its exit code tells of its work.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TextIO, cast

from imgflow_cli.output import ReaderGoneError, emit, printable
from imgflow_steps.contract.redaction import redacted
from imgflow_workflows.errors import ExitCode, ImgflowError


class Stream(io.TextIOBase):
    """One of the two, around what Python has opened, which is None where the descriptor is closed."""

    def __init__(self, inner: TextIO | None, descriptor: int, *, drawing: bool = False) -> None:
        self._inner, self._descriptor = inner, descriptor
        self.clean = inner is not None and inner.isatty() and not drawing
        self.forgiving = descriptor != 1
        self.lost: OSError | None = None  # why the first text that was not written was not

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed: a stream without one may say None
        """What Python has chosen."""
        return (self._inner and self._inner.encoding) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]  # as above
        """How a character is written that the encoding lacks."""
        return "backslashreplace"

    def fileno(self) -> int:
        """The descriptor."""
        return self._inner.fileno() if self._inner else self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._inner is not None and self._inner.isatty()

    def writable(self) -> bool:
        """It is there to be written to."""
        return True

    def write(self, text: str) -> int:
        """Write what may be read. Raises ReaderGoneError, and ImgflowError where the output is the command's work."""
        if not isinstance(text, str):  # typer finds out whether a stream takes bytes by giving it some
            raise TypeError("this stream takes text")
        shown = printable(redacted(text), lines=True) if self.clean else redacted(text)
        self.pass_on(shown)
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        self.pass_on("", flush=True)

    @contextmanager
    def binary(self) -> Iterator[IO[bytes]]:
        """The stream of bytes below, for data that is no text. Raises as ``write``."""
        try:
            if self._inner is None:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            yield self._inner.buffer
            self._inner.flush()
        except OSError as error:
            self._fail(error)

    def drawing(self) -> Stream:
        """The same for a display that redraws itself."""
        return Stream(self._inner, self._descriptor, drawing=True)

    def pass_on(self, text: str, *, flush: bool = False) -> None:
        """Write it as it is. Raises as ``write``."""
        if self.lost or not (text or flush):
            return
        try:
            if self._inner is None:
                if text:
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                return
            self._inner.write(text.encode(self.encoding, self.errors).decode(self.encoding))
            if flush or "\n" in text:
                self._inner.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.lost = error
        if self._inner is not None:  # or Python complains again when it flushes at its end
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
        if self.forgiving:
            return
        if isinstance(error, BrokenPipeError):
            raise ReaderGoneError
        closed = error.errno == errno.EBADF
        hint = "leave it open, or write it to a file" if closed else "free some space there, or write to another place"
        raise ImgflowError(why_lost(error), hint, ExitCode.FAILED)


def why_lost(error: OSError) -> str:
    """What a person is told of standard output that cannot be written."""
    why = "it is closed" if error.errno == errno.EBADF else (error.strerror or str(error))
    return f"standard output cannot be written: {why}"


@contextmanager
def guarded() -> Iterator[tuple[Stream, Stream]]:
    """Everything that is written meanwhile goes through the two streams."""
    before = sys.stdout, sys.stderr
    streams = Stream(before[0], 1), Stream(before[1], 2)
    sys.stdout, sys.stderr = streams
    try:
        yield streams
    finally:
        sys.stdout, sys.stderr = before


def drawing() -> TextIO:
    """Standard error for a display that redraws itself, whose texts are spelt out before they are drawn."""
    return cast("TextIO", sys.stderr.drawing() if isinstance(sys.stderr, Stream) else sys.stderr)


def data(text: str) -> None:
    """A line of a user's own data, which are no message: as they are, unless a terminal shows them."""
    if isinstance(sys.stdout, Stream) and not sys.stdout.clean:
        sys.stdout.pass_on(text + "\n")
    else:
        emit(text)


@contextmanager
def binary() -> Iterator[IO[bytes]]:
    """Standard output for bytes."""
    if isinstance(sys.stdout, Stream):
        with sys.stdout.binary() as out:
            yield out
    else:
        yield sys.stdout.buffer


def occupy() -> None:
    """Open what the caller has closed of descriptors 0 to 2, or the next file to be opened becomes one of them."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
