"""Times, sizes and how far something is, as a person reads them in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgflow_steps.contract import Counts
    from imgflow_workflows.fetch import FetchProgress
    from imgflow_workflows.ingest.copying import IngestProgress


def duration(seconds: float) -> str:
    """A length of time for people: 0.4s, 12s, 3m05s, 2h10m, 4d."""
    if seconds < 10:  # noqa: PLR2004 - below ten seconds a tenth matters
        return f"{max(0.0, seconds):.1f}s"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours < 48 else f"{hours // 24}d"  # noqa: PLR2004


def size(count: float) -> str:
    """A number of bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"  # noqa: PLR2004
        count /= 1000
    return f"{count:.1f} TB"


def copied(progress: IngestProgress, seconds: float = 0.0) -> str:
    """How far copying into a dataset or out of it is, and its pace after so many seconds."""
    words = [f"{progress.copied:,} copied ({size(progress.bytes)})", f"{progress.present:,} there already"]
    words += [f"{pace(progress, seconds):,.0f} images/s"] if seconds else []
    return " · ".join([*words, *(f"{count:,} left out: {reason}" for reason, count in progress.refused.items())])


def pace(progress: IngestProgress, seconds: float) -> float:
    """Images per second."""
    return (progress.copied + progress.present) / seconds if seconds else 0.0


def fetched(progress: FetchProgress) -> str:
    """How far the copying of pictures is."""
    left_out = [f"{count:,} left out: {reason}" for reason, count in progress.refused.items()]
    words = [
        f"{progress.copied:,} of {progress.total:,} pictures copied ({size(progress.bytes)})",
        f"{progress.present:,} there already",
        *left_out,
    ]
    return " · ".join(words)


def added_up(counts: Counts, *, ended: bool) -> str:
    """All images of a run: as a sum when it has ended, unless that was before all had a verdict."""
    if not (ended and counts.add_up):
        return f"{counts.listed:,} listed, {counts.processed:,} processed so far"
    return (
        f"{counts.listed:,} listed = {counts.processed:,} processed + {counts.cached:,} cached"
        f" + {counts.rejected:,} rejected + {counts.failed:,} failed"
    )


def counted(number: int, noun: str) -> str:
    """``1 image``, ``2,000 images``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def near_duplicates(number: int) -> str:
    """``14 near-duplicates of other images``."""
    return f"{counted(number, 'near-duplicate')} of other images"
