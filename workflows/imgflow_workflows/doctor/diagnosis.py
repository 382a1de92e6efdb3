"""What is wrong with a run: every cause once, the most important first, with what follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgflow_steps.run import Phase
from imgflow_workflows.doctor import pods, runs
from imgflow_workflows.doctor.findings import together

if TYPE_CHECKING:
    from imgflow_workflows.doctor.findings import Finding
    from imgflow_workflows.doctor.snapshot import Snapshot

# Whatever is further up may well be why there is what is further down.
ROOTS = (
    "controller-silent",
    "missing-object",
    "wrong-credentials",
    "no-bucket",
    "denied",
    "store-away",
    "store-error",
    "container-image",
    "quota",
    "forbidden",
    "node-gone",
    "unschedulable",
    "evicted",
    "out-of-memory",
    "bad-parameters",
    "deadline",
    "pod-deleted",
    "semaphore",
    "container-failed",
    "container-not-started",
    "interrupted",
    "images-failed",
    "too-many-rejected",
)
# Causes only where nothing else explains them; else they stand under what does.
FOLLOWS = ("workflow-error", "run-failed", "shard-lost", "pod-failed", "stuck")
ORDER = ROOTS + FOLLOWS


def diagnose(snapshot: Snapshot) -> list[Finding]:
    """What is wrong with the run; nothing when it went or goes well.

    What can only follow from something else stands under the most important finding, not beside it.
    """
    if snapshot.status is Phase.SUCCEEDED:
        return []
    found = [finding for cause in runs.CAUSES for finding in cause(snapshot)]
    found += filter(None, (pods.explain(attempt, snapshot) for attempt in snapshot.attempts))
    ordered = sorted(together(found), key=lambda finding: ORDER.index(finding.cause))
    if not ordered:
        return []
    first, *others = ordered
    follow = [one for one in others if one.cause in FOLLOWS]
    first = replace(first, consequences=tuple(one.what for one in follow))
    return [first, *(one for one in others if one.cause not in FOLLOWS)]
