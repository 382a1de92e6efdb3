"""What is wrong with a run: a cause, where it was seen, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a cause was seen; what does not apply is ""."""

    pod: str = ""
    node: str = ""
    reason: str = ""  # the cluster's or the store's own word for it
    message: str = ""
    time: str = ""  # RFC 3339, as the cluster says it


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One cause, however many pods it has stopped.

    ``what`` says it in a sentence that is the same for all of them; ``mend`` are commands, each with its
    comment; ``consequences`` are what else is wrong only because of it.
    """

    cause: str
    what: str
    evidence: tuple[Evidence, ...] = ()
    mend: tuple[str, ...] = ()
    consequences: tuple[str, ...] = ()


def together(findings: Iterable[Diagnosis]) -> list[Diagnosis]:
    """The same cause found in several places, as one finding with all the evidence; in the order of the first."""
    found: dict[tuple[str, str], Diagnosis] = {}
    for one in findings:
        key = one.cause, one.what
        before = found.get(key)
        found[key] = replace(before, evidence=before.evidence + one.evidence) if before else one
    return list(found.values())
