"""How people say how old something may be."""

from __future__ import annotations

import pytest

from imgflow_workflows.retention.plan import DAY, age


@pytest.mark.parametrize("text", ["30d", "12h", "2w", " 1d "])
def test_an_age_is_a_number_and_a_unit(text: str) -> None:
    assert age(text) == {"30d": 30 * DAY, "12h": DAY / 2, "2w": 14 * DAY, "1d": DAY}[text.strip()]


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "1m", "٣d" * 2, "999999d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        age(text)
