"""What is wrong with a run: every cause once, the most important first, with what follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgflow_steps.records.summary import Phase
from imgflow_workflows.doctor import pods, runs
from imgflow_workflows.doctor.findings import together

if TYPE_CHECKING:
    from imgflow_workflows.doctor.findings import Diagnosis
    from imgflow_workflows.doctor.snapshot import Snapshot

# Whatever is further up may well be why there is what is further down.
ROOTS = (
    "suspended",
    "controller-silent",
    "store-emptied",
    "other-store",
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
    "results-gone",
    "uncovered",
)
# Causes only where nothing else explains them; else they stand under what does.
FOLLOWS = ("workflow-error", "run-failed", "shard-lost", "pod-failed", "stuck")
ORDER = ROOTS + FOLLOWS


def diagnose(snapshot: Snapshot) -> list[Diagnosis]:
    """What is wrong with the run or with what lies beside its results; nothing when it went or goes well."""
    return [*_causes(snapshot), *runs.uncovered(snapshot)]


def _causes(snapshot: Snapshot) -> list[Diagnosis]:
    """What is wrong with the run itself.

    What can only follow from something else stands under the most important finding, not beside it.
    """
    if snapshot.status is Phase.SUCCEEDED and not snapshot.unknown:
        return list(runs.results_harmed(snapshot))
    found = [finding for cause in runs.CAUSES for finding in cause(snapshot)]
    found += filter(None, (pods.explain(attempt, snapshot) for attempt in snapshot.attempts))
    found = found or list(runs.unexplained(snapshot))
    ordered = sorted(together(found), key=lambda finding: ORDER.index(finding.cause))
    if not ordered:
        return []
    first, *others = ordered
    follow = [one for one in others if one.cause in FOLLOWS]
    first = replace(first, consequences=tuple(one.what for one in follow))
    return [first, *(one for one in others if one.cause not in FOLLOWS)]
