"""Where a run stands, by what the store *and* the cluster say of it: neither alone knows.

The store knows how a run ended that came to its end, the cluster whether anything still works on one that did not.
"""

from __future__ import annotations

from dataclasses import dataclass

from imgflow_steps.records.summary import Phase

OPEN = frozenset({Phase.PENDING, Phase.RUNNING, Phase.SUSPENDED})
BEGINNING = 60  # seconds between a run's document in the store and its Workflow, at most


@dataclass(frozen=True, slots=True)
class Standing:
    """A phase, and what a person has to know about it; "" for nothing."""

    phase: Phase
    why: str = ""


def together(run: str, stored: Phase, age: float, theirs: Standing | None) -> Standing:
    """Where a run stands, of which the store says ``stored`` and the cluster ``theirs``, None for nothing at all.

    ``age`` are the seconds since it was submitted, or submitted again.
    """
    if theirs and theirs.phase in OPEN:
        return theirs
    if stored not in OPEN:
        return Standing(stored)
    if theirs is None:
        if stored is Phase.PENDING and age < BEGINNING:
            return Standing(stored)
        gone = "its Workflow is gone: somebody deleted it, or it was kept as long as it had to be"
        return Standing(Phase.INTERRUPTED, f"{gone}; `imgflow retry {run}` resumes it")
    if theirs.phase is Phase.SUCCEEDED:
        lost = "its Workflow succeeded, and the store has no summary of it: was the store emptied?"
        return Standing(Phase.FAILED, f"{lost} `imgflow retry {run}` brings it")
    return theirs
