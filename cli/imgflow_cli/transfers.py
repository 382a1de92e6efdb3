"""How copying went, for people and for programs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from imgflow_cli.progress import status_line
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.results.skips import SkipReason
from imgflow_workflows.transfer.copying import QUIET, ingest

if TYPE_CHECKING:
    from imgflow_cli.output import Voice
    from imgflow_steps.store import Store
    from imgflow_workflows.transfer.copying import IngestSummary, Source

# a second try may succeed: the command has failed
AGAIN = {SkipReason.UNREADABLE, SkipReason.CHANGED, SkipReason.FETCHED}


def copy(
    source: Source, store: Store, municipality: str, voice: Voice, interrupted: str, *, checksum: bool = False
) -> tuple[IngestSummary, float]:
    """Copy and show how far it is; gives also the seconds that it took. Raises ImgflowError when ``interrupted``."""
    started = time.monotonic()
    try:
        with status_line(voice) as show:
            summary = ingest(
                source,
                store,
                municipality,
                tell=lambda so_far: show(so_far.in_words(time.monotonic() - started)),
                checksum=checksum,
            )
    except KeyboardInterrupt:
        raise ImgflowError(interrupted, "run the same command again to resume", ExitCode.INTERRUPTED) from None
    return summary, time.monotonic() - started


def say_refused(summary: IngestSummary, voice: Voice) -> None:
    """Name what was not copied, but for what never was a photograph."""
    for refusal in summary.refusals:
        if refusal.reason not in QUIET:
            voice.say(f"{refusal.path}: {refusal.reason}: {refusal.message}")


def copied_document(summary: IngestSummary, seconds: float) -> dict[str, Any]:
    """The same for programs; keys are only ever added."""
    return {
        "copied": summary.copied,
        "present": summary.present,
        "bytes": summary.bytes,
        "seconds": round(seconds, 3),
        "images_per_second": round(summary.pace(seconds), 1),
        "left_out": summary.left_out,
        **summary.document(),
    }
