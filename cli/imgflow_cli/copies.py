"""How copying went, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgflow_workflows.ingest.copying import Reason
from imgflow_workflows.words import pace

if TYPE_CHECKING:
    from imgflow_workflows.ingest.copying import IngestSummary

AGAIN = {Reason.UNREADABLE, Reason.CHANGED, Reason.FETCHED}  # a second try may succeed: the command has failed


def copied_document(summary: IngestSummary, seconds: float) -> dict[str, Any]:
    """The same for programs; keys are only ever added."""
    return {
        "copied": summary.copied,
        "present": summary.present,
        "bytes": summary.bytes,
        "seconds": round(seconds, 3),
        "images_per_second": round(pace(summary, seconds), 1),
        "refused": {str(reason): count for reason, count in summary.refused.items()},
        "refusals": [
            {"path": refusal.path, "reason": str(refusal.reason), "message": refusal.message}
            for refusal in summary.refusals
        ],
    }
