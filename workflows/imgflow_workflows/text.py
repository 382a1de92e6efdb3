"""Times, sizes and how far something is, as a person reads them in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imgflow_steps.records.admission import skipped_in_words
from imgflow_steps.report import figures

if TYPE_CHECKING:
    from imgflow_steps.contract.job import Counts
    from imgflow_steps.records.listing import Listing


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
    """A number of bytes for people, in powers of 1000, as reports write it but for their space that never breaks."""
    return figures.size(count).replace(figures.NBSP, " ")


def added_up(counts: Counts, *, ended: bool) -> str:
    """All images of a run: as a sum when it has ended, unless that was before all had a verdict."""
    if not (ended and counts.add_up):
        return f"{counts.listed:,} listed, {counts.processed:,} processed so far"
    return (
        f"{counts.listed:,} listed = {counts.processed:,} processed + {counts.cached:,} cached"
        f" + {counts.rejected:,} rejected + {counts.failed:,} failed"
    )


def counted(number: int, noun: str) -> str:
    """``1 image``, ``2,000 images``, ``3 boxes``."""
    plural = "es" if noun.endswith(("x", "s")) else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def left_out(counts: Mapping[str, int]) -> str:
    """`` · 7 .psd, 2 .xcf skipped``; "" where nothing is."""
    return f" · {skipped_in_words(counts)} skipped" if counts else ""


def by_people(listing: Listing | None) -> str:
    """For how many listed images people gave boxes, and how many of their table are not listed; "" for none."""
    if listing is None or not (listing.marked or listing.astray):
        return ""
    words = f"boxes given for {counted(listing.marked, 'image')}"
    return f"{words}; {counted(listing.astray, 'more image')} of the table not listed" if listing.astray else words


def near_duplicates(number: int) -> str:
    """``14 near-duplicates of other images``."""
    return f"{counted(number, 'near-duplicate')} of other images"
