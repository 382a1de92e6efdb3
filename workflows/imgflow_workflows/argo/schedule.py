"""What a CronWorkflow's schedule may be: Argo takes any text, and then never starts anything."""

from __future__ import annotations

import re

from imgflow_steps.contract import BadParametersError

FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))  # minute, hour, day, month, day of the week
PART = re.compile(r"(?:[*?]|(\d+|[a-z]{3})(?:-(\d+|[a-z]{3}))?)(?:/[1-9]\d*)?")
WORD = re.compile(r"@(yearly|annually|monthly|weekly|daily|midnight|hourly|every [0-9][0-9a-z.]*)")


def check_schedule(schedule: str) -> None:
    """Raises BadParametersError for what is neither five fields of cron nor one of its words."""
    fields = schedule.lower().split()
    if len(fields) == len(FIELDS) and all(map(_fits, fields, FIELDS)):
        return
    if not WORD.fullmatch(schedule):
        raise BadParametersError(
            f"{schedule!r} is no schedule: give minute, hour, day, month and day of the week, such as '0 3 * * *',"
            " or a word such as @daily"
        )


def _fits(field: str, bounds: tuple[int, int]) -> bool:
    """Whether a field lists ``*``, numbers within bounds, names such as ``mon``, and ranges of both, with steps."""
    parts = [PART.fullmatch(part) for part in field.split(",")]
    numbers = [int(end) for part in parts if part for end in part.groups() if end and end.isdigit()]
    return all(parts) and all(bounds[0] <= number <= bounds[1] for number in numbers)
