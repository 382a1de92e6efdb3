"""How copying went, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgflow_cli.output import size
from imgflow_workflows.ingest.copying import Reason

if TYPE_CHECKING:
    from imgflow_workflows.ingest.copying import IngestProgress, IngestSummary

COPIES = 8  # files copied at the same time
AGAIN = {Reason.UNREADABLE, Reason.CHANGED, Reason.FETCHED}  # a second try may succeed: the command has failed


def in_words(progress: IngestProgress, seconds: float) -> str:
    """How far the copying is after so many seconds, in one line."""
    left_out = [f"{count:,} left out: {reason}" for reason, count in progress.refused.items()]
    words = [f"{progress.copied:,} copied ({size(progress.bytes)})", f"{progress.present:,} there already"]
    return " · ".join([*words, f"{_pace(progress, seconds):,.0f} images/s", *left_out])


def copied_document(summary: IngestSummary, seconds: float) -> dict[str, Any]:
    """The same for programs; keys are only ever added."""
    return {
        "copied": summary.copied,
        "present": summary.present,
        "bytes": summary.bytes,
        "seconds": round(seconds, 3),
        "images_per_second": round(_pace(summary, seconds), 1),
        "refused": {str(reason): count for reason, count in summary.refused.items()},
        "refusals": [
            {"path": refusal.path, "reason": str(refusal.reason), "message": refusal.message}
            for refusal in summary.refusals
        ],
    }


def _pace(progress: IngestProgress, seconds: float) -> float:
    return (progress.copied + progress.present) / seconds if seconds else 0.0
