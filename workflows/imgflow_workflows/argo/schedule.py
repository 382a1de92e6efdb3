"""A CronWorkflow: what it starts, and when, as Argo's parser (robfig/cron) reads it; Argo itself takes any text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imgflow_steps.contract.step import BadParametersError

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
PART = re.compile(r"(?:[*?]|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/[1-9]\d*)?")
WORDS = {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
EVERY = re.compile(r"@every (?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+")  # a duration as Go writes it


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a cluster starts by itself: a municipality through a pipeline, and the files that this one names."""

    municipality: str
    digest: str  # of the pipeline alone, whatever the source
    models: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Field:
    """One of a schedule's five fields: its least and greatest number, and the names of its numbers in their order."""

    least: int
    greatest: int
    names: tuple[str, ...] = ()

    def fits(self, text: str) -> bool:
        """Whether a field lists ``*``, numbers, names and ranges that go upwards, each with or without a step."""
        return all(self._fits(part) for part in text.split(","))

    def _fits(self, part: str) -> bool:
        found = PART.fullmatch(part)
        if not found or not found["first"]:
            return bool(found)
        first = self._number(found["first"])
        last = self._number(found["last"] or found["first"])
        return self.least <= first <= last <= self.greatest

    def _number(self, text: str) -> int:
        """Below every field's least number where it is none of its numbers."""
        if text in self.names:
            return self.names.index(text) + self.least
        return int(text) if text.isascii() and text.isdigit() else -1


FIELDS = (Field(0, 59), Field(0, 23), Field(1, 31), Field(1, 12, MONTHS), Field(0, 6, DAYS))


def check_schedule(schedule: str) -> None:
    """Raises BadParametersError for what is neither five fields of cron nor one of its words."""
    parts = schedule.lower().split()
    if len(parts) == len(FIELDS) and all(field.fits(part) for field, part in zip(FIELDS, parts, strict=True)):
        return
    if schedule not in WORDS and not EVERY.fullmatch(schedule):
        raise BadParametersError(
            f"{schedule!r} is not a schedule: give minute, hour, day, month and day of the week, such as '0 3 * * *',"
            " or a word such as @daily or '@every 6h'"
        )
