"""How numbers are written for people. Pure functions; a space inside a figure never breaks a line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

NBSP = "\N{NO-BREAK SPACE}"
NONE = "\N{EN DASH}"  # where a figure is not known
FIRST = datetime(1, 1, 1, tzinfo=UTC).timestamp()
LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def count(n: int, one: str = "", many: str = "") -> str:
    """``12,345``, and what is counted: ``1 image``, ``2 images``."""
    noun = one if n == 1 else many or f"{one}s"
    return f"{n:,}{NBSP}{noun}" if one else f"{n:,}"


def share(part: float, whole: float) -> str:
    """``12.3 %``; what is there but rounds to nothing stays visible."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:  # noqa: PLR2004 - one decimal
        return f"<0.1{NBSP}%"
    if 99.9 < percent < 100:  # noqa: PLR2004 - one decimal
        return f">99.9{NBSP}%"
    return f"{percent:.1f}{NBSP}%"


def milliseconds(ms: float) -> str:
    """``0.42 ms``, ``12 ms``, ``1.2 s``, ``3 min 4 s``."""
    if ms >= 60_000:  # noqa: PLR2004 - a minute
        return duration(ms / 1000)
    value, unit = (ms, "ms") if ms < 1000 else (ms / 1000, "s")  # noqa: PLR2004 - a second
    return f"{number(value, 2 if value < 100 else 3)}{NBSP}{unit}"  # noqa: PLR2004 - digits worth reading


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``2 min 13 s``, ``3 h 5 min``, ``2 d 4 h``."""
    if seconds < 10:  # noqa: PLR2004 - tenths matter
        return f"{seconds:.1f}{NBSP}s"
    rest = round(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, rest = divmod(rest, length)
        if amount or parts:
            parts.append(f"{amount}{NBSP}{unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0"))


def size(n: float) -> str:
    """``512 B``, ``3.4 MB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if n < 1000 or unit == "TB":  # noqa: PLR2004 - decimal units, as disks are sold
            break
        n /= 1000
    return f"{n:.0f}{NBSP}{unit}" if n >= 100 or unit == "B" else f"{n:.1f}{NBSP}{unit}"  # noqa: PLR2004


def number(value: float, digits: int = 3) -> str:
    """A measured number with this many digits that count, never in scientific notation while it is readable."""
    text = f"{value:.{digits}g}"
    if "e+" in text and abs(value) < 1e12:  # noqa: PLR2004 - beyond a trillion, powers read better
        return f"{value:,.0f}"
    return text


def moment(when: float, *, seconds: bool = False) -> str:
    """``2025-11-21 07:12 UTC``, or with seconds ``07:12:30``; a dash for a time that is not known."""
    return f"{clock(when, seconds=seconds)}{NBSP}UTC" if when else NONE


def clock(when: float, *, seconds: bool = False) -> str:
    """``2025-11-21 07:12`` of seconds since 1970; what lies beyond all dates is the first or the last one."""
    at = datetime.fromtimestamp(min(max(when, FIRST), LAST), UTC).replace(tzinfo=None)
    return at.isoformat(NBSP, "seconds" if seconds else "minutes")


def spans(numbers: Iterable[int], most: int = 12) -> str:
    """``0 to 4, 7``: neighbours as one, and no more than ``most`` parts."""
    found: list[list[int]] = []
    for n in sorted(numbers):
        if found and n == found[-1][-1] + 1:
            found[-1] = [found[-1][0], n]
        else:
            found.append([n])
    parts = [" to ".join(map(str, part)) for part in found[:most]]
    return ", ".join([*parts, *(["…"] if len(found) > most else [])])


def box(width: int, height: int) -> str:
    """``4000x3000`` with a multiplication sign; a dash for a picture that was never opened."""
    return f"{width}\N{MULTIPLICATION SIGN}{height}" if width else NONE
